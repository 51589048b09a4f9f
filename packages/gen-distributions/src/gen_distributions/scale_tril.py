"""Covariances given as `covariance_matrix`, `precision_matrix` or `scale_tril`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core.shapes import shape_of
from gen_distributions.odds import exactly_one
from gen_distributions.tensors import MatrixLike, cholesky, promote, solve_lower

SCALE_CONSTRAINTS: Mapping[str, Constraint] = {
    "covariance_matrix": constraints.positive_definite,
    "precision_matrix": constraints.positive_definite,
    "scale_tril": constraints.lower_cholesky,
}


def lower_factor(
    distribution: str,
    covariance_matrix: MatrixLike | None,
    precision_matrix: MatrixLike | None,
    scale_tril: MatrixLike | None,
    *like: Tensor,
) -> Tensor:
    """Return the lower triangular L with L L^T the covariance; NaN where that is not positive definite."""
    matrix, *_ = promote(
        exactly_one(
            distribution,
            covariance_matrix=covariance_matrix,
            precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        ),
        *like,
    )
    if scale_tril is not None:
        return matrix
    if covariance_matrix is not None:
        return cholesky(matrix)
    # The factor of the flipped precision, flipped back, is upper triangular: its inverse transposed is L.
    flipped = cholesky(matrix.flip((-2, -1))).flip((-2, -1)).mT
    return solve_lower(flipped, torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device))


def scale_shape(*alternatives: MatrixLike | None) -> tuple[int, ...]:
    """Return the shape of the one matrix that was given; `()` if none was."""
    return next((shape_of(matrix) for matrix in alternatives if matrix is not None), ())


def log_det(factor: Tensor) -> Tensor:
    """Return the log determinant of a lower triangular factor."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
