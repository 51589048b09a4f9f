"""The Pareto distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import (
    TensorLike,
    all_positive,
    nan_unless,
    on_support,
    promote,
    standard_uniform,
)


@final
@dataclass(frozen=True)
class Pareto(TensorFamily):
    """Density alpha scale^alpha / x^(alpha + 1) over x >= scale.

    Parameters:
        scale: The least value, positive.
        alpha: How fast the tail falls, positive.
    """

    name = "pareto"
    has_rsample = True
    arg_constraints = {
        "scale": constraints.positive,
        "alpha": constraints.positive,
    }

    def support(self, scale: TensorLike, alpha: TensorLike) -> Constraint:
        """Return the numbers from `scale` on."""
        return constraints.greater_than_eq(promote(scale, alpha)[0])

    def sample(self, scale: TensorLike, alpha: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        scale, alpha = promote(scale, alpha)
        return scale * torch.exp(torch.log1p(-standard_uniform(scale, alpha)) / -alpha)

    def log_prob(self, value: Tensor, /, scale: TensorLike, alpha: TensorLike) -> Tensor:
        """Return the log density of each element, -inf below `scale`."""
        value, scale, alpha = promote(value, scale, alpha)
        inside = value >= scale
        safe = torch.where(inside, value, scale)
        log_prob = alpha.log() + alpha * (scale.log() - safe.log()) - safe.log()
        return on_support(inside, nan_unless(all_positive(scale, alpha), log_prob))


pareto = Distribution(Pareto())
