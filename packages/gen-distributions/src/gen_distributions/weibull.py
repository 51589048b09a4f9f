"""The Weibull distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, all_positive, nan_unless, on_support, open_uniform, promote


@final
@dataclass(frozen=True)
class Weibull(TensorFamily):
    """Density (k / scale) (x / scale)^(k - 1) exp(-(x / scale)^k) over x >= 0, for the concentration k.

    Parameters:
        scale: Positive.
        concentration: The shape k, positive.
    """

    name = "weibull"
    has_rsample = True
    fixed_support = constraints.nonnegative
    arg_constraints = {
        "scale": constraints.positive,
        "concentration": constraints.positive,
    }

    def sample(self, scale: TensorLike, concentration: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        scale, concentration = promote(scale, concentration)
        return scale * (-open_uniform(scale, concentration).log()).pow(1 / concentration)

    def log_prob(self, value: Tensor, /, scale: TensorLike, concentration: TensorLike) -> Tensor:
        """Return the log density of each element, -inf below 0."""
        value, scale, concentration = promote(value, scale, concentration)
        inside = value >= 0
        ratio = torch.where(inside, value, scale) / scale
        log_prob = (
            concentration.log()
            - scale.log()
            + torch.xlogy(concentration - 1, ratio)
            - ratio.pow(concentration)
        )
        return on_support(inside, nan_unless(all_positive(scale, concentration), log_prob))


weibull = Distribution(Weibull())
