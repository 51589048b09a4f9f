"""Bijections from the real line onto the supports of choices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, cast, final

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import ExpTransform, IndependentTransform, Transform

from gen_inflib.position_errors import NoBijectionError


class Mapped(NamedTuple):
    """A point of a support, and how much the bijection stretches there."""

    value: Tensor
    log_jacobian: Tensor
    """log |det dvalue/dposition|, summed over all events, shape `()`."""


def bijection(support: Constraint) -> Transform:
    """Return the bijection from vectors of real numbers onto a support.

    Those of torch (`torch.distributions.biject_to`), and of our own for what torch lacks or what it has
    in a form that cannot be batched: factors of correlation matrices, positive definite matrices.

    Raises:
        NoBijectionError: The support is discrete, or has no bijection.
    """
    if getattr(support, "is_discrete", False):
        raise NoBijectionError(repr(support), "its points are isolated")
    if support in (constraints.positive, constraints.nonnegative):
        return ExpTransform()
    if support is constraints.corr_cholesky:
        return OntoCorrelationCholesky()
    if support is constraints.positive_definite:
        return OntoPositiveDefinite()
    if support.event_dim and support is constraints.real_vector:
        return IndependentTransform(biject_to(constraints.real), 1)
    try:
        return cast(Transform, biject_to(support))
    except NotImplementedError:
        raise NoBijectionError(repr(support), "no bijection is registered for it") from None


def forward(onto: Transform, position: Tensor) -> Mapped:
    """Map a point of the real line, or many, onto the support."""
    value = cast(Tensor, onto(position))
    return Mapped(value, cast(Tensor, onto.log_abs_det_jacobian(position, value)).sum())


def holds_tensors(part: object) -> bool:
    """Return whether a constraint is made of tensors: of arguments of the distribution."""
    if isinstance(part, Tensor):
        return True
    if isinstance(part, Constraint | Transform):
        # Private ones are caches and ways back.
        return any(holds_tensors(value) for name, value in vars(part).items() if not name.startswith("_"))
    return isinstance(part, tuple | list) and any(map(holds_tensors, cast("Iterable[Any]", part)))


@final
class OntoCorrelationCholesky(Transform):
    """From n(n - 1)/2 numbers onto Cholesky factors of correlation matrices.

    The tanh of each number is a canonical partial correlation z_ij, for j < i, row by row, and

        L_ij = z_ij prod_{k<j} sqrt(1 - z_ik^2),    L_ii = prod_{k<i} sqrt(1 - z_ik^2).

    Source: Lewandowski, Kurowicka and Joe (2009), Generating random correlation matrices based on vines
    and extended onion method. torch's own fills a matrix in place, which no batch can do.
    """

    bijective = True
    domain = constraints.real_vector
    codomain = constraints.corr_cholesky

    def _call(self, x: Tensor) -> Tensor:
        partial = _to_rows(x.tanh())
        return partial.tril(-1) * _shrunk(partial) + torch.diag_embed(_shrunk(partial).diagonal(0, -2, -1))

    def _inverse(self, y: Tensor) -> Tensor:
        # What is left of each row's unit length before each column.
        before = (1 - y.square().cumsum(-1) + y.square()).clamp(min=torch.finfo(y.dtype).tiny).sqrt()
        size = y.shape[-1]
        limit = 1 - torch.finfo(y.dtype).eps
        return _from_rows(y / before, size).clamp(-limit, limit).atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum over j < i of log d z_ij / d x_ij + log prod_{k<j} sqrt(1 - z_ik^2)."""
        log_left = _to_rows(2 * (math.log(2.0) - x - torch.nn.functional.softplus(-2 * x)))
        weights = torch.arange(y.shape[-1], device=x.device)
        # log(1 - z^2) counts once for tanh, and half for each entry of the row to its right.
        right = (weights.unsqueeze(-1) - 1 - weights).clamp(min=0).to(x.dtype)
        return (log_left * (1 + right / 2)).tril(-1).sum((-2, -1))

    def forward_shape(self, shape: Any) -> torch.Size:
        """Return the shape of the matrices."""
        size = _side(shape[-1] * 2, 1)
        return torch.Size((*shape[:-1], size, size))

    def inverse_shape(self, shape: Any) -> torch.Size:
        """Return the shape of the vectors."""
        size = shape[-1]
        return torch.Size((*shape[:-2], size * (size - 1) // 2))


@final
class OntoPositiveDefinite(Transform):
    """From n(n + 1)/2 numbers onto positive definite matrices L L^T, where log L_ii and L_ij are numbers.

    The density of a symmetric matrix is with respect to its n(n + 1)/2 entries on and below the diagonal:

        log |det| = n log 2 + sum_i (n - i + 2) log L_ii,    i = 1..n.

    Source: Muirhead, Aspects of multivariate statistical theory (1982), theorem 2.1.9.
    """

    bijective = True
    domain = constraints.real_vector
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        factor = self._factor(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        factor = torch.linalg.cholesky(y)
        diagonal = factor.diagonal(0, -2, -1)
        below = _from_rows(factor, y.shape[-1])
        return torch.cat([diagonal.log(), below], -1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """See the class."""
        size = y.shape[-1]
        powers = torch.arange(size + 1, 1, -1, device=x.device)
        return size * math.log(2.0) + (powers * x[..., :size]).sum(-1)

    def forward_shape(self, shape: Any) -> torch.Size:
        """Return the shape of the matrices."""
        size = _side(shape[-1] * 2, -1)
        return torch.Size((*shape[:-1], size, size))

    def inverse_shape(self, shape: Any) -> torch.Size:
        """Return the shape of the vectors."""
        size = shape[-1]
        return torch.Size((*shape[:-2], size * (size + 1) // 2))

    def _factor(self, x: Tensor) -> Tensor:
        size = _side(x.shape[-1] * 2, -1)
        below = _to_rows(x[..., size:]) if size > 1 else x.new_zeros(*x.shape[:-1], 1, 1)
        return below + torch.diag_embed(x[..., :size].exp())


def _side(twice: int, sign: int) -> int:
    """Return the n with n(n - sign) = twice."""
    return (sign + math.isqrt(1 + 4 * twice)) // 2


def _to_rows(x: Tensor) -> Tensor:
    """Return matrices with these numbers below the diagonal, row by row, and zeros elsewhere."""
    size = _side(x.shape[-1] * 2, 1)
    row, column = torch.arange(size).unsqueeze(-1), torch.arange(size)
    # By taking rather than putting, which is out of place.
    place = torch.where(column < row, row * (row - 1) // 2 + column, 0).flatten().to(x.device)
    return x.index_select(-1, place).reshape(*x.shape[:-1], size, size).tril(-1)


def _from_rows(matrices: Tensor, size: int) -> Tensor:
    """Return the numbers below the diagonal, row by row."""
    row, column = torch.tril_indices(size, size, -1)
    place = (row * size + column).to(matrices.device)
    return matrices.flatten(-2).index_select(-1, place)


def _shrunk(partial: Tensor) -> Tensor:
    """Return prod_{k<j} sqrt(1 - z_ik^2) at (i, j), where z is 0 on and above the diagonal."""
    left = (1 - partial.square()).clamp(min=torch.finfo(partial.dtype).tiny).sqrt()
    product = left.cumprod(-1)
    return torch.cat([torch.ones_like(product[..., :1]), product[..., :-1]], -1)
