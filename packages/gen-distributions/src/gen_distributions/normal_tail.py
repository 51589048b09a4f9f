"""The logarithm of the normal distribution function, accurate in both tails, and its inverse."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gen_distributions.normal import HALF_LOG_TWO_PI

ROOT_HALF = math.sqrt(0.5)


def log_ndtr(x: Tensor) -> Tensor:
    """Return log Phi(x), in operations that batch, which `torch.special.log_ndtr` does not."""
    in_tail = x < -1.0
    low = torch.where(in_tail, x, -1.0)
    high = torch.where(in_tail, 0.0, x)
    tail = (torch.special.erfcx(-ROOT_HALF * low) / 2).log() - low.square() / 2
    return torch.where(in_tail, tail, torch.log1p(torch.erfc(ROOT_HALF * high) / -2))


def log_ndtri(log_p: Tensor) -> Tensor:
    """Return the z with log Phi(z) = log_p."""
    in_tail = log_p < -5.0
    # Newton's method on the concave log Phi, from a point that is always below the root.
    target = torch.where(in_tail, log_p, -5.0)
    z = -(-2 * target).sqrt()
    for _ in range(6):
        log_cdf = log_ndtr(z)
        slope = torch.exp(z.square() * -0.5 - HALF_LOG_TWO_PI - log_cdf)
        z = z - (log_cdf - target) / slope
    return torch.where(in_tail, z, torch.special.ndtri(torch.where(in_tail, 0.5, log_p.exp())))
