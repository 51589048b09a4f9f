"""The exponential distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class Exponential(TensorFamily):
    """Density rate exp(-rate x) over x >= 0.

    Parameters:
        rate: One over the mean, positive.
    """

    name: ClassVar[str] = "exponential"
    has_rsample: ClassVar[bool] = True
    fixed_support: ClassVar[Constraint] = constraints.nonnegative
    arg_constraints: ClassVar[Mapping[str, Constraint]] = {"rate": constraints.positive}

    def sample(self, rate: TensorLike) -> Tensor:
        """Draw one value of the shape of `rate`."""
        if isinstance(rate, float | int):
            return torch.log1p(-torch.rand(())) / -rate
        (rate,) = promote(rate)
        return torch.log1p(-torch.rand_like(rate)) / -rate

    def log_prob(self, value: Tensor, /, rate: TensorLike) -> Tensor:
        """Return log(rate) - rate * value for each element, -inf below 0."""
        value, rate = promote(value, rate)
        return on_support(value >= 0, nan_unless(rate > 0, rate.log() - rate * value))


exponential = Distribution(Exponential())
