"""Monte Carlo standard errors: how far an estimate from these draws may be off."""

from __future__ import annotations

import torch
from torch import Tensor

from gen_inflib.diagnostics.draws import as_draws
from gen_inflib.diagnostics.effective_sample_size import effective_sample_size


def standard_error(draws: Tensor) -> Tensor:
    """Return the standard error of the mean of the draws: sd / sqrt(effective sample size).

    Args:
        draws: Shape `(num_chains, num_draws, *shape)`.

    Returns:
        Shape `(*shape)`, float64.

    Raises:
        DrawsError: Too few draws, or not all finite.

    Source: Vehtari et al., Bayesian Analysis 16 (2021), section 4.
    """
    wide = as_draws(draws)
    return wide.flatten(0, 1).std(0) / effective_sample_size(wide).sqrt()


def standard_error_of_sd(draws: Tensor) -> Tensor:
    """Return the standard error of the standard deviation of the draws.

    By the delta method: with d the squared distances to the mean, v their mean and S their effective
    sample size, sqrt(var(d) / (4 v S)). Zero where all draws are the same. Shapes and errors as for
    `standard_error`.

    Source: Kenney and Keeping, Mathematics of Statistics (1951), as used by Vehtari et al. (2021).
    """
    wide = as_draws(draws)
    squares = (wide - wide.flatten(0, 1).mean(0)).square()
    every = squares.flatten(0, 1)
    variance = every.mean(0)
    spread = (every.square().mean(0) - variance.square()) / effective_sample_size(squares)
    return torch.where(variance > 0, spread / (4 * torch.where(variance > 0, variance, 1.0)), 0.0).sqrt()
