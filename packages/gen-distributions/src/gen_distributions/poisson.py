"""The Poisson distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, nan_unless, on_support, promote, weighted_log


@final
@dataclass(frozen=True)
class Poisson(TensorFamily):
    """Probability rate^k exp(-rate) / k! of k = 0, 1, 2, ..., as an integer tensor.

    Parameters:
        rate: The mean, nonnegative.
    """

    name = "poisson"
    invalid_is_nan = True
    is_discrete = True
    value_dtype = torch.int64
    fixed_support = constraints.nonnegative_integer
    arg_constraints = {"rate": constraints.nonnegative}

    def sample(self, rate: TensorLike) -> Tensor:
        """Draw one count of the shape of `rate`."""
        (rate,) = promote(rate)
        return torch.poisson(rate.detach()).long()

    def log_prob(self, value: Tensor, /, rate: TensorLike) -> Tensor:
        """Return the log probability of each count, -inf below 0."""
        (rate,) = promote(rate)
        inside = value >= 0
        count = torch.where(inside, value, 0).to(rate.dtype)
        log_prob = weighted_log(count, rate) - rate - torch.lgamma(count + 1)
        return on_support(inside, nan_unless(rate >= 0, log_prob))

    def log_prob_of_numbers(self, value: int, /, rate: float) -> float:
        """Return the same for one count, from Python numbers."""
        return value * math.log(rate) - rate - math.lgamma(value + 1) if value >= 0 else math.nan


poisson = Distribution(Poisson())
