"""Streaming statistics: means and variances of all draws in memory that does not grow with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor

from gen_core.structure import Structure, put_together, take_apart
from gen_inflib.chain_errors import VaryingStructureError

T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True)
class Moments(Generic[T]):
    """Mean, variance, extremes and, where asked for, covariance of draws, by chain.

    Two parts of a chain merge exactly, up to rounding: with n = n_a + n_b and d = mean_b - mean_a,

        mean = mean_a + d n_b / n,        M = M_a + M_b + d d^T n_a n_b / n,

    where M is the sum of the outer products of deviations from the mean. Everything is in float64.

    Source: Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances
    (1979); for one draw at a time, Welford, Technometrics 4 (1962).
    """

    count: int
    """The number of draws of each chain."""
    structure: Structure
    shapes: Sequence[tuple[int, ...]]
    means: Tensor
    """Shape `(num_chains, num_elements)`, as are the next ones."""
    squares: Tensor
    """The sums of the squared deviations from the mean."""
    lows: Tensor
    highs: Tensor
    products: Tensor | None = None
    """The sums of the outer products of deviations, shape `(num_chains, num_elements, num_elements)`."""

    @staticmethod
    def of(draws: Any, *, covariance: bool = False) -> Moments[Any]:
        """Return the moments of draws: tensors `(num_chains, num_draws, *shape)`, and containers of them."""
        tensors, structure = take_apart(draws, once=False)
        shapes = [tuple(tensor.shape[2:]) for tensor in tensors]
        if not tensors:
            raise VaryingStructureError("there is nothing to take moments of: no choice or number was kept")
        flat = torch.cat([_rows(tensor) for tensor in tensors], 2)
        means = flat.mean(1)
        deviations = flat - means.unsqueeze(1)
        products = deviations.transpose(1, 2) @ deviations if covariance else None
        squares = deviations.square().sum(1)
        return Moments(flat.shape[1], structure, shapes, means, squares, flat.amin(1), flat.amax(1), products)

    def merge(self, other: Moments[T]) -> Moments[T]:
        """Return the moments of the draws of both.

        Raises:
            VaryingStructureError: They are of values of different structure or shapes.
        """
        if self.structure != other.structure or list(self.shapes) != list(other.shapes):
            raise VaryingStructureError(
                "the structure or the shapes of what is kept differ between draws, so it has no mean. Give "
                "`collect` a function that returns the same kind of numbers for every trace"
            )
        count = self.count + other.count
        share = other.count / count
        step = other.means - self.means
        products = None
        if self.products is not None and other.products is not None:
            outer = step.unsqueeze(2) * step.unsqueeze(1)
            products = self.products + other.products + outer * (self.count * share)
        return Moments(
            count,
            self.structure,
            self.shapes,
            self.means + step * share,
            self.squares + other.squares + step.square() * (self.count * share),
            torch.minimum(self.lows, other.lows),
            torch.maximum(self.highs, other.highs),
            products,
        )

    def pooled(self) -> Moments[T]:
        """Return the moments of the draws of all chains together, with one chain."""
        chains = [self._of_chain(chain) for chain in range(len(self.means))]
        pooled = chains[0]
        for chain in chains[1:]:
            pooled = pooled.merge(chain)
        return pooled

    @property
    def mean(self) -> T:
        """The means, as the draws are structured: `(num_chains, *shape)`."""
        return self._shaped(self.means)

    @property
    def variance(self) -> T:
        """The variances with count - 1 below: NaN for a single draw."""
        return self._shaped(self.squares / (self.count - 1))

    @property
    def standard_deviation(self) -> T:
        """The square roots of the variances."""
        return self._shaped((self.squares / (self.count - 1)).sqrt())

    @property
    def minimum(self) -> T:
        """The smallest values."""
        return self._shaped(self.lows)

    @property
    def maximum(self) -> T:
        """The largest values."""
        return self._shaped(self.highs)

    @property
    def covariance(self) -> Tensor:
        """The covariance of all elements, in the order of the draws' tensors, `(num_chains, d, d)`.

        Raises:
            ValueError: It was not asked for.
        """
        if self.products is None:
            raise ValueError("No covariance was kept: pass covariance=True.")
        return self.products / (self.count - 1)

    def _of_chain(self, chain: int) -> Moments[T]:
        rows = slice(chain, chain + 1)
        products = None if self.products is None else self.products[rows]
        return Moments(
            self.count,
            self.structure,
            self.shapes,
            self.means[rows],
            self.squares[rows],
            self.lows[rows],
            self.highs[rows],
            products,
        )

    def _shaped(self, flat: Tensor) -> T:
        sizes = [math.prod(shape) for shape in self.shapes]
        parts = zip(flat.split(sizes, 1), self.shapes, strict=True)
        value: T = put_together(
            [part.unflatten(1, shape) if shape else part.squeeze(1) for part, shape in parts], self.structure
        )
        return value


def _rows(tensor: Tensor) -> Tensor:
    """Return draws as float64 vectors, `(num_chains, num_draws, num_elements)`."""
    return tensor.detach().double().reshape(*tensor.shape[:2], -1)
