"""The gamma distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import (
    TensorLike,
    all_positive,
    broadcast_shape,
    nan_unless,
    on_support,
    promote,
    standard_gamma,
)


@final
@dataclass(frozen=True)
class Gamma(TensorFamily):
    """Density rate^concentration x^(concentration - 1) exp(-rate x) / Gamma(concentration) over x >= 0.

    Parameters:
        concentration: The shape, positive.
        rate: One over the scale, positive. (Gen.jl's second parameter is the scale.)
    """

    name = "gamma"
    invalid_is_nan = True
    has_rsample = True
    fixed_support = constraints.nonnegative
    arg_constraints = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }

    def sample(self, concentration: TensorLike, rate: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        concentration, rate = promote(concentration, rate)
        return standard_gamma(concentration.expand(broadcast_shape(concentration, rate))) / rate

    def log_prob(self, value: Tensor, /, concentration: TensorLike, rate: TensorLike) -> Tensor:
        """Return the log density of each element, -inf below 0."""
        value, concentration, rate = promote(value, concentration, rate)
        return gamma_log_prob(value, concentration, rate)

    def log_prob_of_numbers(self, value: float, /, concentration: float, rate: float) -> float:
        """Return the same for one value, from Python numbers."""
        if not concentration > 0:
            return math.nan
        powers = concentration * math.log(rate) + (concentration - 1) * math.log(value)
        return powers - rate * value - math.lgamma(concentration)


def gamma_log_prob(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    """Return the log density of gamma(concentration, rate)."""
    inside = value >= 0
    safe = torch.where(inside, value, 1.0)
    log_prob = (
        concentration * rate.log()
        + torch.xlogy(concentration - 1, safe)
        - rate * safe
        - torch.lgamma(concentration)
    )
    return on_support(inside, nan_unless(all_positive(concentration, rate), log_prob))


gamma = Distribution(Gamma())
