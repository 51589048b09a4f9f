"""Bare tensor operations, one choice at a time: what somebody writes who knows the model by heart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def simulate(num: int, loc: Tensor | float, scale: Tensor | float) -> float:
    """Draw `num` normals, and return the log density of all."""
    score: Tensor | float = 0.0
    for _ in range(num):
        x = torch.randn(()) * scale + loc
        score = score + log_density(x, loc, scale)
    return float(score)


def simulate_walk(num: int, start: Tensor | float, scale: Tensor | float) -> float:
    """Draw `num` normals, each centred at the one before, and return the log density of all."""
    score: Tensor | float = 0.0
    loc = start
    for _ in range(num):
        x = torch.randn(()) * scale + loc
        score = score + log_density(x, loc, scale)
        loc = x
    return float(score)


def assess(values: Sequence[Tensor], loc: Tensor | float, scale: Tensor | float) -> float:
    """Return the log density of given values."""
    score: Tensor | float = 0.0
    for x in values:
        score = score + log_density(x, loc, scale)
    return float(score)


def log_density(x: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """Return log N(x; loc, scale)."""
    z = (x - loc) / scale
    if isinstance(scale, Tensor):
        return -0.5 * z.square() - scale.log() - HALF_LOG_TWO_PI
    # Two numbers are added faster than a number and a tensor.
    return -0.5 * z.square() - (math.log(scale) + HALF_LOG_TWO_PI)
