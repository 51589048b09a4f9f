"""What every diagnostic does to draws first: check them, split chains in half, rank them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gen_inflib.chain_errors import DrawsError

LEAST_DRAWS = 4


def as_draws(draws: Tensor) -> Tensor:
    """Return draws of shape `(num_chains, num_draws, *shape)` in float64.

    Raises:
        DrawsError: They have another shape, are fewer than four a chain, or are not all finite.
    """
    if draws.dim() < 2 or draws.shape[1] < LEAST_DRAWS or not len(draws):
        raise DrawsError(
            f"Expected draws of shape (num_chains, num_draws, ...), with at least {LEAST_DRAWS} draws, "
            f"but got shape {tuple(draws.shape)}."
        )
    wide = draws.detach().double()
    finite = torch.isfinite(wide)
    if not finite.all():
        chain, draw = (~finite).nonzero()[0, :2].tolist()
        raise DrawsError(
            f"Draw {draw} of chain {chain} is not finite, and {int((~finite).sum())} numbers in all. "
            f"Diagnostics of such draws would be NaN: look at the trace that was accepted there."
        )
    return wide


def halves(draws: Tensor) -> Tensor:
    """Return each chain as two of half the length, so that a drift within a chain shows between them."""
    half = draws.shape[1] // 2
    return torch.cat([draws[:, :half], draws[:, -half:]])


def normal_ranks(draws: Tensor) -> Tensor:
    """Return the standard normal quantiles of the ranks among all draws; ties share their mean rank.

    Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16 (2021), equation 14.
    """
    columns = draws.flatten(0, 1).flatten(1) if draws.dim() > 2 else draws.flatten()[:, None]
    ranks = torch.stack([_ranks(column) for column in columns.unbind(1)], 1)
    quantiles: Tensor = torch.special.ndtri((ranks - 0.375) / (len(columns) + 0.25))
    return quantiles.reshape(draws.shape)


def is_constant(draws: Tensor) -> Tensor:
    """Return whether all draws are the same, shape `(*shape)`."""
    every = draws.flatten(0, 1)
    return every.amax(0) - every.amin(0) <= torch.finfo(draws.dtype).eps * every.abs().amax(0)


def quantile(draws: Tensor, probability: float) -> Tensor:
    """Return a quantile of all draws, by linear interpolation, shape `(*shape)`."""
    every = draws.flatten(0, 1).sort(0).values
    position = probability * (len(every) - 1)
    low = math.floor(position)
    high = min(low + 1, len(every) - 1)
    found: Tensor = torch.lerp(every[low], every[high], position - low)
    return found


def _ranks(column: Tensor) -> Tensor:
    _, inverse, counts = torch.unique(column, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks: Tensor = (last - 0.5 * (counts - 1))[inverse]
    return ranks
