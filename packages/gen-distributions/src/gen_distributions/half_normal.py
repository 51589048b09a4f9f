"""The half-normal distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, on_support, promote

HALF_LOG_TWO_OVER_PI = 0.5 * math.log(2 / math.pi)


@final
@dataclass(frozen=True)
class HalfNormal(TensorFamily):
    """The law of |x| for a normal x with mean 0, over x >= 0.

    Density sqrt(2 / pi) exp(-(x / scale)^2 / 2) / scale.

    Parameters:
        scale: The standard deviation of the normal, positive.
    """

    name = "half_normal"
    invalid_is_nan = True
    has_rsample = True
    fixed_support = constraints.nonnegative
    arg_constraints = {"scale": constraints.positive}

    def sample(self, scale: TensorLike) -> Tensor:
        """Draw one value of the shape of `scale`."""
        (scale,) = promote(scale)
        return scale * torch.randn_like(scale).abs()

    def log_prob(self, value: Tensor, /, scale: TensorLike) -> Tensor:
        """Return the log density of each element, -inf below 0."""
        value, scale = promote(value, scale)
        log_prob = (value / scale).square() * -0.5 - scale.log() + HALF_LOG_TWO_OVER_PI
        return on_support(value >= 0, log_prob)

    def log_prob_of_numbers(self, value: float, /, scale: float) -> float:
        """Return the same for one value, from Python numbers."""
        if value < 0:
            return math.nan
        return HALF_LOG_TWO_OVER_PI - math.log(scale) - 0.5 * (value / scale) ** 2


half_normal = Distribution(HalfNormal())
