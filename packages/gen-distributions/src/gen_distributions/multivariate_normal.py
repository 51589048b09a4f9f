"""The multivariate normal distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_core.shapes import broadcast_shapes, shape_of
from gen_distributions.family import TensorFamily
from gen_distributions.normal import HALF_LOG_TWO_PI
from gen_distributions.scale_tril import SCALE_CONSTRAINTS, log_det, lower_factor, scale_shape
from gen_distributions.tensors import MatrixLike, VectorLike, promote, solve_lower


@final
@dataclass(frozen=True)
class MultivariateNormal(TensorFamily):
    """Density exp(-(x - loc)^T C^-1 (x - loc) / 2) / sqrt(det(2 pi C)) over vectors, for the covariance C.

    Parameters:
        loc: The mean, shape `[..., d]`.
        covariance_matrix: C, positive definite, shape `[..., d, d]`; or
        precision_matrix: The inverse of C; or
        scale_tril: The lower triangular factor L with C = L L^T. The cheapest.
    """

    name = "multivariate_normal"
    event_dim = 1
    has_rsample = True
    fixed_support = constraints.real_vector
    arg_constraints = {
        "loc": constraints.real_vector,
        **SCALE_CONSTRAINTS,
    }

    def event_shape(
        self,
        loc: VectorLike,
        covariance_matrix: MatrixLike | None = None,
        precision_matrix: MatrixLike | None = None,
        scale_tril: MatrixLike | None = None,
    ) -> tuple[int, ...]:
        """Return `(d,)`."""
        return broadcast_shapes(
            shape_of(loc)[-1:], scale_shape(covariance_matrix, precision_matrix, scale_tril)[-1:]
        )

    def sample(
        self,
        loc: VectorLike,
        covariance_matrix: MatrixLike | None = None,
        precision_matrix: MatrixLike | None = None,
        scale_tril: MatrixLike | None = None,
    ) -> Tensor:
        """Draw one vector for each element of the batch."""
        (loc,) = promote(loc)
        factor = lower_factor(self.name, covariance_matrix, precision_matrix, scale_tril, loc)
        shape = broadcast_shapes(loc.shape, factor.shape[:-1])
        noise = torch.randn(shape, dtype=factor.dtype, device=factor.device)
        return loc + (factor @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(
        self,
        value: Tensor,
        /,
        loc: VectorLike,
        covariance_matrix: MatrixLike | None = None,
        precision_matrix: MatrixLike | None = None,
        scale_tril: MatrixLike | None = None,
    ) -> Tensor:
        """Return the log density of each vector."""
        value, loc = promote(value, loc)
        factor = lower_factor(self.name, covariance_matrix, precision_matrix, scale_tril, loc)
        whitened = solve_lower(factor, (value - loc).unsqueeze(-1)).squeeze(-1)
        return whitened.square().sum(-1) * -0.5 - log_det(factor) - value.shape[-1] * HALF_LOG_TWO_PI


multivariate_normal = Distribution(MultivariateNormal())
