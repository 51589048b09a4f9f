"""Pareto k: whether importance weights have a tail that a sample of this size can average."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gen_inflib.chain_errors import DrawsError

LEAST_TAIL = 5


class Smoothed(NamedTuple):
    """Weights whose largest were replaced by the quantiles of the tail that fits them."""

    log_weights: Tensor
    """Normalised, so that their exponentials sum to 1; shape `(n,)`, in nats."""
    k: Tensor
    """The shape of the tail, shape `()`: see `pareto_k`."""


def pareto_k(log_weights: Tensor) -> Tensor:
    """Return the shape k of the generalised Pareto distribution that fits the largest weights.

    Below 0.5 weights have a finite variance; up to min(1 - 1 / log10(n), 0.7) averages are usable; above 1
    the mean itself does not exist: find a better proposal. -inf where the tail has no spread, and +inf
    where there are fewer than five weights in the tail.

    Args:
        log_weights: Shape `(n,)`, in nats; normalised or not.

    Returns:
        Shape `()`, float64.

    Raises:
        DrawsError: A weight is NaN or +inf, or all are -inf.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling, JMLR 25 (2024).
    """
    return pareto_smoothed(log_weights).k


def pareto_smoothed(log_weights: Tensor) -> Smoothed:
    """Return the weights with their tail smoothed, and its shape k; arguments as for `pareto_k`."""
    weights = log_weights.detach().double().flatten()
    if not len(weights) or weights.isnan().any() or not math.isfinite(float(weights.max())):
        raise DrawsError(
            "Expected log weights that are numbers or -inf, and not all -inf, but got "
            f"{int(weights.isnan().sum())} NaN among {len(weights)}, the largest "
            f"{float(weights.nan_to_num(-math.inf).max()) if len(weights) else -math.inf}."
        )
    shifted = weights - weights.max()
    size = math.ceil(min(len(weights) / 5, 3 * math.sqrt(len(weights))))
    order = shifted.argsort()
    tail, cutoff = order[-size:], shifted[order[-size - 1]] if size < len(weights) else shifted.min()
    above = tail[shifted[tail] > cutoff]
    if len(above) < LEAST_TAIL:
        k = math.inf if len(above) else -math.inf
        return Smoothed(shifted - shifted.logsumexp(0), torch.tensor(k, dtype=torch.float64))
    excess = shifted[above].exp() - cutoff.exp()
    k, sigma = _fit(excess)
    if math.isfinite(k):
        ranks = (torch.arange(len(above), dtype=torch.float64) + 0.5) / len(above)
        smooth = (_quantiles(ranks, k, sigma) + cutoff.exp()).log()
        shifted = shifted.scatter(0, above, smooth).clamp(max=0.0)
    return Smoothed(shifted - shifted.logsumexp(0), torch.tensor(k, dtype=torch.float64))


def _fit(excess: Tensor) -> tuple[float, float]:
    """Return k and sigma of the generalised Pareto distribution of sorted excesses.

    The profile posterior mean of Zhang and Stephens, Technometrics 51 (2009), with k shrunk to 0.5 as by
    ten more observations.
    """
    n = len(excess)
    largest = excess[-1]
    if float(largest - excess[0]) <= torch.finfo(torch.float64).eps * float(largest):
        return -math.inf, float(largest)
    num_points = 30 + int(math.sqrt(n))
    grid = torch.arange(1, num_points + 1, dtype=torch.float64)
    quarter = excess[int(n / 4 + 0.5) - 1]
    thetas = 1 / largest + (1 - (num_points / (grid - 0.5)).sqrt()) / (3 * quarter)
    shapes = torch.log1p(-thetas[:, None] * excess).mean(1)
    profile = n * ((-thetas / shapes).log() - shapes - 1)
    theta = float((profile.softmax(0) * thetas).sum())
    shape = float(torch.log1p(-theta * excess).mean())
    sigma = -shape / theta
    return (shape * n + 0.5 * 10) / (n + 10), sigma


def _quantiles(probabilities: Tensor, k: float, sigma: float) -> Tensor:
    if abs(k) < 1e-12:
        return -sigma * torch.log1p(-probabilities)
    return sigma * torch.expm1(-k * torch.log1p(-probabilities)) / k
