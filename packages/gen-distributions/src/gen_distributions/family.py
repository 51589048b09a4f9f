"""What families over tensors share: the defaults of the `Family` protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Requirement
from gen_distributions.convert import convert_value
from gen_distributions.errors import NotEnumerableError
from gen_distributions.tensors import promote


class TensorFamily:
    """A family over tensors; a subclass adds `sample` and `log_prob` with explicit signatures.

    `sample` draws with out-of-place random operations only (`torch.rand`, not `uniform_`), which is
    what lets `vmap` give each element of a batch its own draw. `log_prob` must not branch on values.
    """

    name: str
    arg_constraints: Mapping[str, Constraint]
    is_discrete: bool = False
    has_rsample: bool = False
    can_stack: bool = True
    invalid_is_nan: bool = False
    event_dim: int = 0
    value_dtype: torch.dtype | None = None
    """The dtype of values: bool, int64, or None for the parameters' floating point dtype."""
    fixed_support: Constraint = constraints.real
    """The support, where it does not depend on the parameters."""

    @property
    def is_enumerable(self) -> bool:
        """Whether `enumerate_support` works."""
        return False

    def support(self, *args: Any, **kwargs: Any) -> Constraint:
        """Return the set of values whose density can be positive."""
        return self.fixed_support

    def event_shape(self, *args: Any, **kwargs: Any) -> tuple[int, ...]:
        """Return the shape of one event; families over vectors and matrices say which it is."""
        if self.event_dim:
            raise NotImplementedError(
                f"The events of {self.name} have {self.event_dim} dimensions: its family needs a method "
                f"`event_shape(*parameters)` that returns their shape."
            )
        return ()

    def convert(self, value: object, /, *args: Any, **kwargs: Any) -> Tensor:
        """Return a given value as a tensor of this family's dtype."""
        if isinstance(value, Tensor):
            dtype = value.dtype
            if dtype is self.value_dtype or (self.value_dtype is None and dtype.is_floating_point):
                return value
        elif type(value) is float and self.value_dtype is None and not kwargs and _are_floats(args):
            return torch.tensor(value)
        return convert_value(self.name, value, self.value_dtype, (*args, *kwargs.values()))

    def enumerate_support(self, *args: Any, **kwargs: Any) -> Sequence[Tensor]:
        """Return every value of the support."""
        raise NotEnumerableError(self.name)

    def requirements(self, *args: Any, **kwargs: Any) -> Iterable[Requirement]:
        """Return one requirement for each parameter that `arg_constraints` names."""
        given = dict(zip(self._parameter_names, args, strict=False)) | kwargs
        return [
            Requirement(name, describe(constraint), _check(constraint, given[name]))
            for name, constraint in self.arg_constraints.items()
            if given.get(name) is not None
        ]

    @cached_property
    def _parameter_names(self) -> tuple[str, ...]:
        return tuple(signature(cast(Any, self).sample).parameters)


def _are_floats(args: tuple[object, ...]) -> bool:
    return all([type(argument) is float for argument in args])


def _check(constraint: Constraint, value: object) -> Any:
    """Return where a parameter is as it must be: one boolean for Python floats, and for tensors that are."""
    if type(value) is float:
        return constraint.check(value)
    tensor = promote(value)[0].detach()
    lowest = _LOWEST.get(constraint)
    # One number decides, many times faster than a boolean for each element. NaN is neither.
    if lowest is not None and tensor.numel() and lowest(tensor.amin().item()):
        return True
    return constraint.check(tensor)


_LOWEST: dict[Constraint, Callable[[float], bool]] = {
    constraints.real: lambda lowest: lowest == lowest,
    constraints.positive: lambda lowest: lowest > 0,
    constraints.nonnegative: lambda lowest: lowest >= 0,
}
"""What the lowest element says about all."""


def describe(constraint: Constraint) -> str:
    """Return what a constraint demands, as it reads after "must be"."""
    for known, text in _DESCRIPTIONS:
        if constraint is known:
            return text
    return f"in {constraint!r}"


_DESCRIPTIONS: list[tuple[Constraint, str]] = [
    (constraints.real, "a number"),
    (constraints.real_vector, "a vector of numbers"),
    (constraints.positive, "positive"),
    (constraints.nonnegative, "nonnegative"),
    (constraints.unit_interval, "between 0 and 1"),
    (constraints.positive_integer, "a positive integer"),
    (constraints.nonnegative_integer, "a nonnegative integer"),
    (constraints.simplex, "nonnegative with sum 1"),
    (constraints.positive_definite, "symmetric and positive definite"),
    (constraints.lower_cholesky, "lower triangular with a positive diagonal"),
]
