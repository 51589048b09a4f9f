"""R-hat: whether chains agree."""

from __future__ import annotations

import torch
from torch import Tensor

from gen_inflib.diagnostics.draws import as_draws, halves, normal_ranks, quantile


def r_hat(draws: Tensor) -> Tensor:
    """Return the rank-normalised split R-hat: near 1 where chains agree; above 1.01 is a warning.

    With B and W the variance between and within half chains of n draws,

        R-hat = sqrt((n - 1) / n + B / (n W)),

    of the draws' normal ranks, and of those of their distance to the median (which sees chains of other
    scale); the larger counts. It is 1 where all draws are the same, and infinite where chains are stuck
    at different values.

    Args:
        draws: Shape `(num_chains, num_draws, *shape)`; one chain is compared with itself.

    Returns:
        Shape `(*shape)`, float64.

    Raises:
        DrawsError: Too few draws, or not all finite.

    Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner, Rank-normalization, folding, and localization:
        an improved R-hat, Bayesian Analysis 16 (2021).
    """
    split = halves(as_draws(draws))
    folded = (split - quantile(split, 0.5)).abs()
    return torch.maximum(_r_hat(normal_ranks(split)), _r_hat(normal_ranks(folded)))


def _r_hat(draws: Tensor) -> Tensor:
    num_draws = draws.shape[1]
    between = draws.mean(1).var(0)
    within = draws.var(1).mean(0)
    ratio = torch.where(within > 0, between / within, torch.where(between > 0, torch.inf, 1 / num_draws))
    return ((num_draws - 1) / num_draws + ratio).sqrt()
