"""The exponential distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

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

    name = "exponential"
    invalid_is_nan = True
    has_rsample = True
    fixed_support = constraints.nonnegative
    arg_constraints = {"rate": constraints.positive}

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

    def log_prob_of_numbers(self, value: float, /, rate: float) -> float:
        """Return the same for one value, from Python numbers."""
        return math.log(rate) - rate * value if value >= 0 else math.nan


exponential = Distribution(Exponential())
