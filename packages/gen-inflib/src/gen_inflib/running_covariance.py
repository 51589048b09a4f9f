"""Variances and covariances of positions as they come, in constant memory."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

# Stan's regularisation: towards a small multiple of the identity, as if by five more draws.
PRIOR_DRAWS: Final = 5.0
PRIOR_VARIANCE: Final = 1e-3


class RunningCovariance(NamedTuple):
    """The moments of the positions so far."""

    num_positions: Tensor
    """Shape `()`."""
    mean: Tensor
    """Shape `(n,)`."""
    products: Tensor
    """Sums of products of deviations: shape `(n, n)`, or `(n,)` where only squares are kept."""

    def add(self, positions: Tensor) -> RunningCovariance:
        """Return the moments with more positions, shape `(k, n)`.

        Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
        variances (1979).
        """
        num = positions.shape[0]
        count = self.num_positions + num
        mean = positions.mean(0)
        deviations = positions - mean
        shift = mean - self.mean
        share = (self.num_positions * num / count).to(mean.dtype)
        if self.products.dim() == 2:
            new = deviations.mT @ deviations
            between = torch.outer(shift, shift)
        else:
            new = deviations.square().sum(0)
            between = shift.square()
        moved = self.mean + shift * (num / count).to(mean.dtype)
        return RunningCovariance(count, moved, self.products + new + share * between)

    def regularised(self) -> Tensor:
        """Return the covariance, or the variances, shrunk towards 0.001: n/(n+5) S + 5/(n+5) 0.001.

        Source: the Stan development team, Stan reference manual, section on HMC algorithm parameters.
        """
        count = self.num_positions.to(self.mean.dtype)
        sample = self.products / (count - 1).clamp(min=1)
        prior = torch.full_like(self.mean, PRIOR_VARIANCE)
        if self.products.dim() == 2:
            prior = torch.diag_embed(prior)
        weight = count / (count + PRIOR_DRAWS)
        return weight * sample + (1 - weight) * prior


def running_covariance(position: Tensor, *, dense: bool) -> RunningCovariance:
    """Return the moments of no positions like `position`, shape `(n,)`."""
    zeros = torch.zeros_like(position)
    products = torch.outer(zeros, zeros) if dense else zeros
    return RunningCovariance(zeros.sum(), zeros, products)
