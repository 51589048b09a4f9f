"""The Wishart distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution, Requirement
from gen_core.shapes import broadcast_shapes
from gen_distributions.family import TensorFamily
from gen_distributions.lkj_cholesky import log_multigamma
from gen_distributions.scale_tril import SCALE_CONSTRAINTS, log_det, lower_factor, scale_shape
from gen_distributions.tensors import (
    MatrixLike,
    TensorLike,
    is_close,
    nan_unless,
    on_support,
    promote,
    solve_lower,
    standard_gamma,
)


@final
@dataclass(frozen=True)
class Wishart(TensorFamily):
    """The law of sum_i x_i x_i^T for df normal vectors x_i with covariance V, for any real df > d - 1.

    Density proportional to det(X)^((df - d - 1) / 2) exp(-tr(V^-1 X) / 2) over positive definite matrices.

    Parameters:
        df: The degrees of freedom, greater than d - 1.
        covariance_matrix: V, positive definite, shape `[..., d, d]`; or
        precision_matrix: The inverse of V; or
        scale_tril: The lower triangular factor L with V = L L^T. The cheapest.
    """

    name = "wishart"
    event_dim = 2
    has_rsample = True
    fixed_support = constraints.positive_definite
    arg_constraints = {
        "df": constraints.positive,
        **SCALE_CONSTRAINTS,
    }

    def event_shape(
        self,
        df: TensorLike,
        covariance_matrix: MatrixLike | None = None,
        precision_matrix: MatrixLike | None = None,
        scale_tril: MatrixLike | None = None,
    ) -> tuple[int, ...]:
        """Return `(d, d)`."""
        return scale_shape(covariance_matrix, precision_matrix, scale_tril)[-2:]

    def sample(
        self,
        df: TensorLike,
        covariance_matrix: MatrixLike | None = None,
        precision_matrix: MatrixLike | None = None,
        scale_tril: MatrixLike | None = None,
    ) -> Tensor:
        """Draw one matrix for each element of the batch, by Bartlett's decomposition."""
        (df,) = promote(df)
        factor = lower_factor(self.name, covariance_matrix, precision_matrix, scale_tril, df)
        dim = factor.shape[-1]
        batch = broadcast_shapes(df.shape, factor.shape[:-2])
        below = torch.arange(dim, dtype=factor.dtype, device=factor.device)
        diagonal = (2 * standard_gamma(((df.unsqueeze(-1) - below) / 2).expand(*batch, dim))).sqrt()
        noise = torch.randn((*batch, dim, dim), dtype=factor.dtype, device=factor.device)
        root = factor @ (noise.tril(-1) + torch.diag_embed(diagonal))
        return root @ root.mT

    def log_prob(
        self,
        value: Tensor,
        /,
        df: TensorLike,
        covariance_matrix: MatrixLike | None = None,
        precision_matrix: MatrixLike | None = None,
        scale_tril: MatrixLike | None = None,
    ) -> Tensor:
        """Return the log density of each matrix, -inf for those that are not positive definite."""
        value, df = promote(value, df)
        factor = lower_factor(self.name, covariance_matrix, precision_matrix, scale_tril, df)
        dim = value.shape[-1]
        inside, root = _symmetric_cholesky(value)
        trace = solve_lower(factor, root).square().sum((-2, -1))
        log_prob = (
            (df - dim - 1) * log_det(root)
            - trace / 2
            - df * (dim * math.log(2) / 2 + log_det(factor))
            - log_multigamma(df / 2, dim)
        )
        return on_support(inside, nan_unless(df > dim - 1, log_prob))

    def requirements(
        self,
        df: TensorLike,
        covariance_matrix: MatrixLike | None = None,
        precision_matrix: MatrixLike | None = None,
        scale_tril: MatrixLike | None = None,
    ) -> Iterable[Requirement]:
        """Return that `df` exceeds d - 1 and the covariance is positive definite."""
        given = (covariance_matrix, precision_matrix, scale_tril)
        (df,) = promote(df)
        dim = lower_factor(self.name, *given, df).shape[-1]
        for requirement in super().requirements(df, *given):
            if requirement.parameter == "df":
                yield Requirement("df", f"greater than {dim - 1}, the dimension less one", df > dim - 1)
            else:
                yield requirement


def _symmetric_cholesky(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return which matrices are symmetric positive definite, and their factors (of others, an identity)."""
    symmetric = is_close(matrix, matrix.mT, 1e-5).all(-1).all(-1)
    _, info = torch.linalg.cholesky_ex(matrix.detach())
    inside = symmetric & (info == 0)
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return inside, torch.linalg.cholesky_ex(torch.where(inside[..., None, None], matrix, identity)).L


wishart = Distribution(Wishart())
