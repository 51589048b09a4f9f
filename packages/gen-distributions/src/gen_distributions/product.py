"""Products: several independent values as one choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product as combinations
from typing import Any, TypeAlias, TypeVar, final, overload

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_core.scoring import given_value
from gen_distributions.errors import ComponentError, ValueKindError
from gen_distributions.signatures import Signed, argument_names, prefixed

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

Arguments: TypeAlias = tuple[Any, ...]
"""The arguments of one component, in order."""


@overload
def product(first: Distribution[..., A], /) -> Distribution[[Arguments], tuple[A]]: ...
@overload
def product(
    first: Distribution[..., A], second: Distribution[..., B], /
) -> Distribution[[Arguments, Arguments], tuple[A, B]]: ...
@overload
def product(
    first: Distribution[..., A], second: Distribution[..., B], third: Distribution[..., C], /
) -> Distribution[[Arguments, Arguments, Arguments], tuple[A, B, C]]: ...
@overload
def product(
    first: Distribution[..., A],
    second: Distribution[..., B],
    third: Distribution[..., C],
    fourth: Distribution[..., D],
    /,
) -> Distribution[[Arguments, Arguments, Arguments, Arguments], tuple[A, B, C, D]]: ...
@overload
def product(*components: Distribution[..., A]) -> Distribution[..., tuple[A, ...]]: ...
def product(*components: Distribution[..., Any]) -> Distribution[..., Any]:
    """Return the law of a tuple with one independent value from each component.

    Its arguments are one tuple for each component: `product(normal, poisson)((0.0, 1.0), (3.0,))`. The score
    sums over components and over the elements of each.

    Raises:
        ComponentError: There are no components, or both discrete and continuous ones.
    """
    if not components:
        raise ComponentError("product() needs at least one component.")
    if len({component.is_discrete for component in components}) > 1:
        raise ComponentError(
            "product(...) needs components that are all discrete or all continuous: "
            "its value has one density. Visit the others at an address of their own."
        )
    return Distribution(Product(components))


@final
@dataclass(frozen=True)
class Product:
    """Log densities add up."""

    components: tuple[Distribution[..., Any], ...]

    can_stack = False
    invalid_is_nan = False
    event_dim = 0

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """None: no argument is one tensor."""
        return {}

    @property
    def name(self) -> str:
        """The components' names."""
        return f"product({', '.join(component.name for component in self.components)})"

    @property
    def is_discrete(self) -> bool:
        """As the components."""
        return self.components[0].is_discrete

    @property
    def has_rsample(self) -> bool:
        """Whether all components have."""
        return all(component.has_rsample for component in self.components)

    @property
    def is_enumerable(self) -> bool:
        """Whether all components are."""
        return all(component.is_enumerable for component in self.components)

    def event_shape(self, *arguments: Arguments) -> tuple[int, ...]:
        """A tuple has no shape; its parts are checked where they are converted."""
        return ()

    def support(self, *arguments: Arguments) -> Constraint:
        """Return the product of the supports."""
        return Supports(tuple(c.support(*given) for c, given in self._pairs(arguments)))

    @cached_property
    def sample(self) -> Callable[..., tuple[Any, ...]]:
        """Draw one value of each component."""
        return Signed(self._sample, prefixed(argument_names(self.components)))

    def _sample(self, *arguments: Arguments) -> tuple[Any, ...]:
        return tuple(component.family.sample(*given) for component, given in self._pairs(arguments))

    def log_prob(self, value: tuple[Any, ...], /, *arguments: Arguments) -> Tensor:
        """Return the sum of the log densities, shape `()`."""
        scores = [
            component.family.log_prob(part, *given).sum()
            for (component, given), part in zip(self._pairs(arguments), value, strict=True)
        ]
        return torch.stack([score.to(scores[0].dtype) for score in scores]).sum()

    def convert(self, value: object, /, *arguments: Arguments) -> tuple[Any, ...]:
        """Return a tuple of values, each as its component has it."""
        if not isinstance(value, tuple | list) or len(value) != len(self.components):
            raise ValueKindError(self.name, value, f"a tuple of {len(self.components)} values")
        return tuple(
            given_value(component(*given), part)
            for (component, given), part in zip(self._pairs(arguments), value, strict=True)
        )

    def enumerate_support(self, *arguments: Arguments) -> Sequence[tuple[Any, ...]]:
        """Return every combination."""
        return list(combinations(*(c.enumerate_support(*given) for c, given in self._pairs(arguments))))

    def requirements(self, *arguments: Arguments) -> Iterable[Requirement]:
        """Return what the components require."""
        names = argument_names(self.components)
        for name, (component, given) in zip(names, self._pairs(arguments), strict=True):
            for requirement in component.family.requirements(*given):
                must = f"arguments whose `{requirement.parameter}` is {requirement.must}"
                yield Requirement(name, must, requirement.holds)

    def _pairs(self, arguments: tuple[Arguments, ...]) -> Iterator[tuple[Distribution[..., Any], Arguments]]:
        if len(arguments) != len(self.components):
            raise ComponentError(
                f"{self.name} takes {len(self.components)} tuples of arguments, one for each component, "
                f"but got {len(arguments)}."
            )
        return zip(self.components, arguments, strict=True)


@final
class Supports(Constraint):
    """Tuples with one value from each of several sets."""

    def __init__(self, parts: tuple[Constraint, ...]) -> None:
        self.parts = parts
        self.is_discrete = all(part.is_discrete for part in parts)
        super().__init__()

    def check(self, value: tuple[Any, ...]) -> Tensor:
        """Return whether each value is in its set, shape `()`."""
        return torch.stack([part.check(x).all() for part, x in zip(self.parts, value, strict=True)]).all()
