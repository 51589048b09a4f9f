"""The half-Cauchy distribution."""

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

LOG_TWO_OVER_PI = math.log(2 / math.pi)


@final
@dataclass(frozen=True)
class HalfCauchy(TensorFamily):
    """The law of |x| for a Cauchy x with median 0, over x >= 0.

    Density 2 / (pi scale (1 + (x / scale)^2)).

    Parameters:
        scale: The median, positive.
    """

    name = "half_cauchy"
    invalid_is_nan = True
    has_rsample = True
    fixed_support = constraints.nonnegative
    arg_constraints = {"scale": constraints.positive}

    def sample(self, scale: TensorLike) -> Tensor:
        """Draw one value of the shape of `scale`."""
        (scale,) = promote(scale)
        return scale * torch.tan(math.pi / 2 * torch.rand_like(scale))

    def log_prob(self, value: Tensor, /, scale: TensorLike) -> Tensor:
        """Return the log density of each element, -inf below 0."""
        value, scale = promote(value, scale)
        log_prob = LOG_TWO_OVER_PI - scale.log() - torch.log1p((value / scale).square())
        return on_support(value >= 0, log_prob)

    def log_prob_of_numbers(self, value: float, /, scale: float) -> float:
        """Return the same for one value, from Python numbers."""
        if value < 0:
            return math.nan
        return LOG_TWO_OVER_PI - math.log(scale) - math.log1p((value / scale) ** 2)


half_cauchy = Distribution(HalfCauchy())
