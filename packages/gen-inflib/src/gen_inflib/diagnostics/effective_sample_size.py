"""Effective sample size: how many independent draws would say as much."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gen_inflib.diagnostics.draws import as_draws, halves, is_constant, normal_ranks, quantile


def effective_sample_size(draws: Tensor) -> Tensor:
    """Return the effective sample size for the mean.

    num_chains * num_draws / tau, with tau = 1 + 2 sum of the autocorrelations, estimated from all half
    chains together and summed as far as pairs of neighbours stay positive and decreasing.

    Args:
        draws: Shape `(num_chains, num_draws, *shape)`.

    Returns:
        Shape `(*shape)`, float64; the number of draws where all are the same.

    Raises:
        DrawsError: Too few draws, or not all finite.

    Source: Geyer, Practical Markov chain Monte Carlo, Statistical Science 7 (1992); Vehtari et al., Bayesian
        Analysis 16 (2021), section 3.
    """
    return _size(halves(as_draws(draws)))


def effective_sample_size_bulk(draws: Tensor) -> Tensor:
    """Return the effective sample size of the draws' normal ranks: for means and medians, tails or not.

    Shapes, errors and source as for `effective_sample_size`.
    """
    return _size(normal_ranks(halves(as_draws(draws))))


def effective_sample_size_tail(draws: Tensor) -> Tensor:
    """Return the effective sample size for the 5% and 95% quantiles, whichever is less.

    Shapes, errors and source as for `effective_sample_size`.
    """
    wide = as_draws(draws)
    split = halves(wide)
    sizes = [_size((split <= quantile(wide, probability)).double()) for probability in (0.05, 0.95)]
    return torch.minimum(*sizes)


def _size(draws: Tensor) -> Tensor:
    """Return the effective sample size of half chains."""
    num_chains, num_draws = draws.shape[:2]
    count = num_chains * num_draws
    covariances = _autocovariances(draws).mean(0)
    within = covariances[0] * num_draws / (num_draws - 1)
    variance = covariances[0]
    if num_chains > 1:
        variance = variance + draws.mean(1).var(0)
    constant = is_constant(draws)
    correlations = 1 - (within - covariances) / torch.where(constant, 1.0, variance)
    correlations[0] = 1.0
    time = _autocorrelation_time(correlations).clamp(min=1 / math.log10(count))
    return torch.where(constant, float(count), count / time)


def _autocovariances(draws: Tensor) -> Tensor:
    """Return the covariance of each chain with itself at every lag, shape as `draws`."""
    num_draws = draws.shape[1]
    centred = draws - draws.mean(1, keepdim=True)
    length = 2 ** math.ceil(math.log2(2 * num_draws))
    spectrum = torch.fft.rfft(centred, length, dim=1)
    covariances: Tensor = torch.fft.irfft(spectrum.abs().square(), length, dim=1)
    return covariances[:, :num_draws] / num_draws


def _autocorrelation_time(correlations: Tensor) -> Tensor:
    """Return 1 + 2 sum of correlations, by Geyer's initial monotone sequence; lags come first."""
    num_pairs = max(1, (correlations.shape[0] - 1) // 2)
    pairs = correlations[: 2 * num_pairs].unflatten(0, (num_pairs, 2))
    sums = pairs.sum(1)
    kept = (sums >= 0).int().cumprod(0).bool()
    kept[-1] = False
    decreasing: Tensor = torch.cummin(sums, 0).values
    # The first pair that does not count has one correlation that may.
    following = kept.int().sum(0, keepdim=True)
    rest: Tensor = pairs[:, 0].gather(0, following)[0].clamp(min=0)
    time: Tensor = -1 + 2 * (decreasing * kept).sum(0) + rest
    return time
