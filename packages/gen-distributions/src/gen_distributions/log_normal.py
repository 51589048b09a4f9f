"""The log-normal distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.normal import HALF_LOG_TWO_PI
from gen_distributions.tensors import TensorLike, on_support, promote, standard_normal


@final
@dataclass(frozen=True)
class LogNormal(TensorFamily):
    """The law of exp(x) for a normal x: density N(log(x); loc, scale) / x over x > 0.

    Parameters:
        loc: The mean of the logarithm, any real number.
        scale: The standard deviation of the logarithm, positive.
    """

    name = "log_normal"
    invalid_is_nan = True
    has_rsample = True
    fixed_support = constraints.positive
    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def sample(self, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        loc, scale = promote(loc, scale)
        return torch.exp(loc + scale * standard_normal(loc, scale))

    def log_prob(self, value: Tensor, /, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Return the log density of each element, -inf for those that are not positive."""
        value, loc, scale = promote(value, loc, scale)
        inside = value > 0
        logarithm = torch.where(inside, value, 1.0).log()
        whitened = (logarithm - loc) / scale
        return on_support(inside, whitened.square() * -0.5 - logarithm - scale.log() - HALF_LOG_TWO_PI)

    def log_prob_of_numbers(self, value: float, /, loc: float, scale: float) -> float:
        """Return the same for one value, from Python numbers."""
        logarithm = math.log(value)
        return -0.5 * ((logarithm - loc) / scale) ** 2 - logarithm - math.log(scale) - HALF_LOG_TWO_PI


log_normal = Distribution(LogNormal())
