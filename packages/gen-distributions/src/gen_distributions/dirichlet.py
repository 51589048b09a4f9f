"""The Dirichlet distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_core.shapes import shape_of
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import VectorLike, log_standard_gamma, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class Dirichlet(TensorFamily):
    """Density proportional to prod_k x_k^(concentration_k - 1) over vectors of probabilities.

    The density is with respect to Lebesgue measure on all components but one.

    Parameters:
        concentration: Positive, shape `[..., k]`.
    """

    name = "dirichlet"
    event_dim = 1
    has_rsample = True
    fixed_support = constraints.simplex
    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}

    def event_shape(self, concentration: VectorLike) -> tuple[int, ...]:
        """Return `(k,)`."""
        return shape_of(concentration)[-1:]

    def sample(self, concentration: VectorLike) -> Tensor:
        """Draw one vector of probabilities for each vector of concentrations."""
        (concentration,) = promote(concentration)
        # A softmax of logarithms, since gammas of small concentrations are all 0 in floating point.
        draw = log_standard_gamma(concentration).softmax(-1)
        return draw.clamp(min=torch.finfo(draw.dtype).tiny)

    def log_prob(self, value: Tensor, /, concentration: VectorLike) -> Tensor:
        """Return the log density of each vector, -inf for those that are not probabilities."""
        value, concentration = promote(value, concentration)
        tolerance = 1e-6 + value.shape[-1] * torch.finfo(value.dtype).eps
        inside = (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < tolerance)
        safe = torch.where(inside.unsqueeze(-1), value, 1.0)
        log_prob = (
            torch.xlogy(concentration - 1, safe).sum(-1)
            + torch.lgamma(concentration.sum(-1))
            - torch.lgamma(concentration).sum(-1)
        )
        return on_support(inside, nan_unless((concentration > 0).all(-1), log_prob))


dirichlet = Distribution(Dirichlet())
