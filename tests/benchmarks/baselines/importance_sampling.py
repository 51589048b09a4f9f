"""Importance sampling of the quadratic by hand, batched."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from regression import LOG_N, NOISE, NUM_PARTICLES, XS, YS

LOG_SCALE = torch.tensor(math.log(NOISE) + 0.5 * math.log(2 * math.pi))

Result = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def broadcast() -> Result:
    """Return coefficients, log weights and log evidence, by way of the (N, 50) means."""
    a, b, c = torch.randn(NUM_PARTICLES), torch.randn(NUM_PARTICLES), torch.randn(NUM_PARTICLES)
    means = a[:, None] + b[:, None] * XS + c[:, None] * XS**2
    rest = YS - means
    # The fastest of several ways to write it: one pass over memory for four operations.
    log_weights = torch.addcmul(-LOG_SCALE, rest, rest, value=-0.5 / NOISE**2).sum(1).double()
    return a, b, c, log_weights, log_weights.logsumexp(0) - LOG_N


def in_place() -> Result:
    """Do the same in one buffer, with a formula that only fits this model."""
    a, b, c = torch.randn(NUM_PARTICLES), torch.randn(NUM_PARTICLES), torch.randn(NUM_PARTICLES)
    rest = torch.outer(b, XS).addr_(c, XS**2).add_(a[:, None]).sub_(YS).square_()
    log_weights = rest.sum(1).double().mul_(-0.5 / NOISE**2).sub_(len(XS) * LOG_SCALE)
    return a, b, c, log_weights, log_weights.logsumexp(0) - LOG_N
