"""Metrics: how heavy each direction is for Hamiltonian dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, final

import torch
from torch import Tensor

from gen_core.readable import values_are_readable
from gen_inflib.position_errors import MetricError


class Metric(Protocol):
    """A Gaussian law N(0, M) of momenta; the kinetic energy of p is p^T M^-1 p / 2.

    The best inverse mass is the covariance of the target.
    """

    def momentum(self, noise: Tensor) -> Tensor:
        """Return M^1/2 noise: for standard normal noise, shape `(n,)`, a draw from N(0, M)."""
        ...

    def velocity(self, momentum: Tensor) -> Tensor:
        """Return M^-1 momentum, shape `(..., n)`, of one or many: the derivative of the position."""
        ...

    def check(self, size: int) -> None:
        """Raise MetricError if the metric is not for positions of so many numbers."""
        ...


@final
@dataclass(frozen=True)
class IdentityMetric:
    """M = 1: all directions alike."""

    def momentum(self, noise: Tensor) -> Tensor:
        """Return the noise."""
        return noise

    def velocity(self, momentum: Tensor) -> Tensor:
        """Return the momentum."""
        return momentum

    def check(self, size: int) -> None:
        """Do nothing: it fits any position."""


IDENTITY: Final = IdentityMetric()
"""All directions alike."""


@final
@dataclass(frozen=True)
class DiagonalMetric:
    """M = diag(1 / inverse_mass)."""

    inverse_mass: Tensor
    """Shape `(n,)`, positive: as the target's variances."""

    def momentum(self, noise: Tensor) -> Tensor:
        """Return noise / sqrt(inverse_mass)."""
        return noise * self.inverse_mass.rsqrt()

    def velocity(self, momentum: Tensor) -> Tensor:
        """Return inverse_mass * momentum."""
        return self.inverse_mass * momentum

    def check(self, size: int) -> None:
        """Raise MetricError unless the inverse mass has shape `(size,)`."""
        _check_shape(self.inverse_mass, (size,))


@final
@dataclass(frozen=True)
class DenseMetric:
    """M = inverse_mass^-1, for any positive definite matrix."""

    inverse_mass: Tensor
    """Shape `(n, n)`: as the target's covariance."""
    factor: Tensor
    """The inverse transpose of the Cholesky factor of `inverse_mass`, so that M = factor factor^T."""

    def momentum(self, noise: Tensor) -> Tensor:
        """Return factor @ noise."""
        return self.factor @ noise

    def velocity(self, momentum: Tensor) -> Tensor:
        """Return momentum @ inverse_mass, which is symmetric."""
        return momentum @ self.inverse_mass

    def check(self, size: int) -> None:
        """Raise MetricError unless the inverse mass has shape `(size, size)`."""
        _check_shape(self.inverse_mass, (size, size))


def diagonal_metric(inverse_mass: Tensor) -> DiagonalMetric:
    """Return the metric with this inverse mass, shape `(n,)`: as the variances on the real line.

    Raises:
        MetricError: It is no vector of positive numbers.
    """
    if inverse_mass.dim() != 1 or (values_are_readable() and not bool((inverse_mass > 0).all())):
        raise MetricError(
            f"Expected the inverse mass of a diagonal metric to be a vector of positive numbers, but got "
            f"{inverse_mass}."
        )
    return DiagonalMetric(inverse_mass)


def dense_metric(inverse_mass: Tensor) -> DenseMetric:
    """Return the metric with this inverse mass, shape `(n, n)`: as the covariance on the real line.

    Raises:
        MetricError: It is no positive definite matrix.
    """
    is_square = inverse_mass.dim() == 2 and inverse_mass.shape[0] == inverse_mass.shape[1]
    if is_square:
        lower, failed = torch.linalg.cholesky_ex(inverse_mass)
        if not values_are_readable() or not bool(failed):
            identity = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
            factor = torch.linalg.solve_triangular(lower.mT, identity, upper=True)
            return DenseMetric(inverse_mass, factor)
    raise MetricError(
        f"Expected the inverse mass of a dense metric to be a positive definite matrix, but got "
        f"{inverse_mass}."
    )


def _check_shape(inverse_mass: Tensor, expected: tuple[int, ...]) -> None:
    if inverse_mass.shape != expected:
        raise MetricError(
            f"Expected an inverse mass of shape {expected}, one entry for each number that moves the "
            f"selected choices on the real line, but got shape {tuple(inverse_mass.shape)}."
        )
