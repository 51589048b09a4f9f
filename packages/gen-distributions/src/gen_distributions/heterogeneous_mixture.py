"""Mixtures of a fixed list of components of different families."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, final, overload

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_core.shapes import broadcast_shapes
from gen_distributions.categorical import draw_index, weights_requirement
from gen_distributions.errors import ComponentError
from gen_distributions.mixture import distinct, log_mixture, pick_component, union
from gen_distributions.signatures import Signed, argument_names, prefixed
from gen_distributions.tensors import VectorLike, broadcast, nan_unless, promote

Component: TypeAlias = Distribution[..., Tensor]
Arguments: TypeAlias = tuple[Any, ...]
"""The arguments of one component, in order."""


@overload
def heterogeneous_mixture(
    first: Component, second: Component, /
) -> Distribution[[VectorLike, Arguments, Arguments], Tensor]: ...
@overload
def heterogeneous_mixture(
    first: Component, second: Component, third: Component, /
) -> Distribution[[VectorLike, Arguments, Arguments, Arguments], Tensor]: ...
@overload
def heterogeneous_mixture(*components: Component) -> Distribution[..., Tensor]: ...
def heterogeneous_mixture(*components: Component) -> Distribution[..., Tensor]:
    """Return the mixture of different families over one kind of value.

    Its arguments are the weights and one tuple for each component:
    `heterogeneous_mixture(uniform, beta)([0.2, 0.8], (0.0, 1.0), (2.0, 5.0))`. The weights are normalised.

    Raises:
        ComponentError: There are no components, or their values differ in kind.
    """
    if not components:
        raise ComponentError("heterogeneous_mixture() needs at least one component.")
    kinds = {(component.is_discrete, component.family.event_dim) for component in components}
    if len(kinds) > 1:
        names = ", ".join(component.name for component in components)
        raise ComponentError(
            f"heterogeneous_mixture({names}) needs components that are all discrete or all continuous, "
            f"with equally many event dimensions."
        )
    return Distribution(HeterogeneousMixture(components))


@final
@dataclass(frozen=True)
class HeterogeneousMixture:
    """Density sum_k weights[k] p_k(x) / sum(weights)."""

    components: tuple[Component, ...]

    has_rsample = False
    invalid_is_nan = False
    can_stack = False
    """Arguments are tuples."""
    arg_constraints = {"weights": constraints.independent(constraints.nonnegative, 1)}

    @property
    def name(self) -> str:
        """The components' names."""
        return f"heterogeneous_mixture({', '.join(component.name for component in self.components)})"

    @property
    def is_discrete(self) -> bool:
        """As the components."""
        return self.components[0].is_discrete

    @property
    def is_enumerable(self) -> bool:
        """Whether all components are."""
        return all(component.is_enumerable for component in self.components)

    @property
    def event_dim(self) -> int:
        """As the components."""
        return self.components[0].family.event_dim

    def event_shape(self, weights: VectorLike, /, *arguments: Arguments) -> tuple[int, ...]:
        """As the components."""
        return self.components[0].family.event_shape(*arguments[0])

    def support(self, weights: VectorLike, /, *arguments: Arguments) -> Constraint:
        """Return the union of the components' supports."""
        return union([component.support(*given) for component, given in self._pairs(arguments)])

    @cached_property
    def sample(self) -> Callable[..., Tensor]:
        """Draw a component and then from it."""
        return Signed(self._sample, prefixed(["weights", *argument_names(self.components)]))

    def _sample(self, weights: VectorLike, /, *arguments: Arguments) -> Tensor:
        (shares,) = promote(weights)
        draws = broadcast(*(component.family.sample(*given) for component, given in self._pairs(arguments)))
        values = torch.stack(draws, -1 - self.event_dim).detach()
        batch = broadcast_shapes(shares.shape, values.shape[: values.dim() - self.event_dim])
        values = values.expand(*batch, *values.shape[values.dim() - self.event_dim :])
        return pick_component(values, draw_index(shares.detach().expand(batch)), self.event_dim)

    def log_prob(self, value: Tensor, weights: VectorLike, /, *arguments: Arguments) -> Tensor:
        """Return the log density of each event."""
        (shares,) = promote(weights)
        pairs = self._pairs(arguments)
        log_probs = broadcast(*(component.family.log_prob(value, *given) for component, given in pairs))
        return nan_unless((shares >= 0).all(-1), log_mixture(shares, torch.stack(log_probs, -1)))

    def convert(self, value: object, weights: VectorLike, /, *arguments: Arguments) -> Tensor:
        """Return a given value as the first component does."""
        return self.components[0].family.convert(value, *arguments[0])

    def enumerate_support(self, weights: VectorLike, /, *arguments: Arguments) -> Sequence[Tensor]:
        """Return every value of every component."""
        pairs = self._pairs(arguments)
        return distinct(value for component, given in pairs for value in component.enumerate_support(*given))

    def requirements(self, weights: VectorLike, /, *arguments: Arguments) -> Iterable[Requirement]:
        """Return that the weights have a positive sum, one for each component, and what these require."""
        (shares,) = promote(weights)
        yield weights_requirement("weights", shares)
        fits = torch.tensor(shares.shape[-1] == len(self.components))
        yield Requirement("weights", f"{len(self.components)} weights, one for each component", fits)
        names = argument_names(self.components)
        for name, (component, given) in zip(names, self._pairs(arguments), strict=True):
            for requirement in component.family.requirements(*given):
                must = f"arguments whose `{requirement.parameter}` is {requirement.must}"
                yield Requirement(name, must, requirement.holds)

    def _pairs(self, arguments: tuple[Arguments, ...]) -> Iterator[tuple[Component, Arguments]]:
        if len(arguments) != len(self.components):
            raise ComponentError(
                f"{self.name} takes the weights and {len(self.components)} tuples of arguments, one for "
                f"each component, but got {len(arguments)}."
            )
        return zip(self.components, arguments, strict=True)
