"""The multivariate normal distribution with a covariance of low rank plus a diagonal."""

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
from gen_distributions.scale_tril import log_det
from gen_distributions.tensors import MatrixLike, VectorLike, cholesky, promote, solve_lower


@final
@dataclass(frozen=True)
class LowRankMultivariateNormal(TensorFamily):
    """The multivariate normal with covariance W W^T + diag(D), in time linear in the dimension.

    By the matrix determinant lemma and Woodbury's identity, as in `torch.distributions`.

    Parameters:
        loc: The mean, shape `[..., d]`.
        cov_factor: W, shape `[..., d, rank]`.
        cov_diag: D, positive, shape `[..., d]`.
    """

    name = "low_rank_multivariate_normal"
    event_dim = 1
    has_rsample = True
    fixed_support = constraints.real_vector
    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }

    def event_shape(self, loc: VectorLike, cov_factor: MatrixLike, cov_diag: VectorLike) -> tuple[int, ...]:
        """Return `(d,)`."""
        return broadcast_shapes(shape_of(loc)[-1:], shape_of(cov_factor)[-2:-1], shape_of(cov_diag)[-1:])

    def sample(self, loc: VectorLike, cov_factor: MatrixLike, cov_diag: VectorLike) -> Tensor:
        """Draw one vector for each element of the batch."""
        loc, factor, diagonal = promote(loc, cov_factor, cov_diag)
        shape = broadcast_shapes(loc.shape, factor.shape[:-1], diagonal.shape)
        wide = torch.randn((*shape[:-1], factor.shape[-1]), dtype=factor.dtype, device=factor.device)
        own = torch.randn(shape, dtype=factor.dtype, device=factor.device)
        return loc + (factor @ wide.unsqueeze(-1)).squeeze(-1) + diagonal.sqrt() * own

    def log_prob(
        self, value: Tensor, /, loc: VectorLike, cov_factor: MatrixLike, cov_diag: VectorLike
    ) -> Tensor:
        """Return the log density of each vector."""
        value, loc, factor, diagonal = promote(value, loc, cov_factor, cov_diag)
        scaled = factor.mT / diagonal.unsqueeze(-2)  # W^T D^-1
        identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        capacitance = cholesky(identity + scaled @ factor)
        deviation = value - loc
        inner = solve_lower(capacitance, scaled @ deviation.unsqueeze(-1)).squeeze(-1)
        distance = (deviation.square() / diagonal).sum(-1) - inner.square().sum(-1)
        log_volume = 0.5 * diagonal.log().sum(-1) + log_det(capacitance)
        return -0.5 * distance - log_volume - value.shape[-1] * HALF_LOG_TWO_PI


low_rank_multivariate_normal = Distribution(LowRankMultivariateNormal())
