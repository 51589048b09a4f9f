"""A bootstrap particle filter of a linear-Gaussian model by hand, with systematic resampling by scatter."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from state_space import NOISE, NUM_PARTICLES, RHO, YS

LOG_SCALE = math.log(NOISE) + 0.5 * math.log(2 * math.pi)


def log_evidence() -> Tensor:
    """Return the estimate, resampling at every step."""
    return run(step)


def run(step: object) -> Tensor:
    """Run a filter through all observations."""
    assert callable(step)
    z, total = torch.zeros(NUM_PARTICLES), torch.zeros((), dtype=torch.float64)
    for y in YS.unbind():
        z, log_mean = step(z, y)
        total = total + log_mean
    return total


def step(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the resampled states, and the log of the mean weight."""
    z = RHO * z + torch.randn(NUM_PARTICLES)
    rest = y - z
    log_weights = rest * rest * (-0.5 / NOISE**2)
    largest = log_weights.amax()
    weights = (log_weights - largest).exp()
    # Sums in float64: the last of a hundred thousand float32 sums may lie below the last position.
    cumulative = weights.cumsum(0, dtype=torch.float64)
    total = cumulative[-1]
    ends = torch.ceil(cumulative * (NUM_PARTICLES / total) - torch.rand((), dtype=torch.float64))
    ends = ends.long().clamp(0, NUM_PARTICLES)
    ends[-1] = NUM_PARTICLES
    passed = torch.zeros(NUM_PARTICLES + 1, dtype=torch.int64)
    passed = passed.scatter_add(0, ends, torch.ones_like(ends))
    ancestors = passed[:NUM_PARTICLES].cumsum(0)
    return z[ancestors], total.log() + largest - math.log(NUM_PARTICLES) - LOG_SCALE
