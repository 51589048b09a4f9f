"""The inverse gamma distribution."""

from __future__ import annotations

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
class InverseGamma(TensorFamily):
    """The law of 1 / y for y ~ gamma(concentration, rate), over x > 0.

    Density rate^concentration x^(-concentration - 1) exp(-rate / x) / Gamma(concentration).

    Parameters:
        concentration: The shape, positive.
        rate: The rate of the gamma, which is the scale of the inverse gamma, positive.
    """

    name = "inverse_gamma"
    has_rsample = True
    fixed_support = constraints.positive
    arg_constraints = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }

    def sample(self, concentration: TensorLike, rate: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        concentration, rate = promote(concentration, rate)
        return rate / standard_gamma(concentration.expand(broadcast_shape(concentration, rate)))

    def log_prob(self, value: Tensor, /, concentration: TensorLike, rate: TensorLike) -> Tensor:
        """Return the log density of each element, -inf for those that are not positive."""
        value, concentration, rate = promote(value, concentration, rate)
        inside = value > 0
        safe = torch.where(inside, value, 1.0)
        log_prob = (
            concentration * rate.log()
            - (concentration + 1) * safe.log()
            - rate / safe
            - torch.lgamma(concentration)
        )
        return on_support(inside, nan_unless(all_positive(concentration, rate), log_prob))


inverse_gamma = Distribution(InverseGamma())
