"""The distribution of a value that is certain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_distributions.convert import convert_value
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike


@final
@dataclass(frozen=True)
class Delta(TensorFamily):
    """All mass at one value: log probability 0 there and -inf elsewhere.

    It is discrete, so the value has no gradient.

    Parameters:
        point: The value; the dtype of choices is that of `point`.
    """

    name = "delta"
    is_discrete = True
    is_enumerable = True
    arg_constraints = {"point": constraints.real}

    def support(self, point: TensorLike) -> Constraint:
        """Return the set of the one value."""
        return Singleton(torch.as_tensor(point))

    def sample(self, point: TensorLike) -> Tensor:
        """Return the value."""
        return torch.as_tensor(point).detach().clone()

    def log_prob(self, value: Tensor, /, point: TensorLike) -> Tensor:
        """Return 0 for each element that is equal to `point`, else -inf."""
        expected = torch.as_tensor(point, device=value.device)
        dtype = expected.dtype if expected.dtype.is_floating_point else torch.get_default_dtype()
        zero = torch.zeros((), dtype=dtype, device=value.device)
        return torch.where(value == expected, zero, -torch.inf)

    def convert(self, value: object, /, point: TensorLike) -> Tensor:
        """Return a given value as a tensor of the dtype of `point`."""
        dtype = torch.as_tensor(point).dtype
        if isinstance(value, Tensor) and value.dtype is dtype:
            return value
        return convert_value(self.name, value, None if dtype.is_floating_point else dtype, (point,))

    def enumerate_support(self, point: TensorLike) -> list[Tensor]:
        """Return the one value."""
        return [self.sample(point)]

    def requirements(self, point: TensorLike) -> Iterable[Requirement]:
        """Return that `point` is not NaN, which would be no value."""
        expected = torch.as_tensor(point)
        return [Requirement("point", "a number", expected == expected)]


@final
class Singleton(Constraint):
    """The set of one value."""

    is_discrete = True

    def __init__(self, point: Tensor) -> None:
        self.point = point
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Return where the value is the one."""
        return value == self.point


delta = Distribution(Delta())
