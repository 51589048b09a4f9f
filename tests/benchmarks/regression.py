"""What is inferred: a quadratic through 50 points, written for one particle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gen_distributions import normal
from gen_dml import gen

NOISE = 0.5
NUM_PARTICLES = 100_000
NUM_LEAPFROGS = 10
STEP_SIZE = 0.02
LOG_N = math.log(NUM_PARTICLES)

XS = torch.linspace(-2.0, 2.0, 50)
YS = 0.5 + 1.2 * XS - 0.7 * XS**2 + NOISE * torch.randn(50, generator=torch.Generator().manual_seed(0))


@gen
def quadratic(xs: Tensor) -> Tensor:
    """Three coefficients, and measurements with noise."""
    a = normal(0.0, 1.0) @ "a"
    b = normal(0.0, 1.0) @ "b"
    c = normal(0.0, 1.0) @ "c"
    return normal(a + b * xs + c * xs**2, NOISE) @ "ys"
