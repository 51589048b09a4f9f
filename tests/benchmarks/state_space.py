"""What is filtered: a linear-Gaussian state space model, whose evidence the Kalman filter knows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gen_combinators import Unfold
from gen_distributions import normal
from gen_dml import gen

RHO, NOISE = 0.9, 0.5
NUM_STEPS, NUM_PARTICLES = 100, 100_000


def simulated() -> Tensor:
    """Return observations of a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    z, ys = torch.zeros(()), []
    for _ in range(NUM_STEPS):
        z = RHO * z + torch.randn((), generator=generator)
        ys.append(z + NOISE * torch.randn((), generator=generator))
    return torch.stack(ys)


YS = simulated()


@gen
def step(t: int, z: Tensor) -> Tensor:
    """The next state, and its observation."""
    z = normal(RHO * z, 1.0) @ "z"
    normal(z, NOISE) @ "y"
    return z


MODEL = Unfold(step)(NUM_STEPS, torch.zeros(()))
OBSERVATIONS = {(t, "y"): YS[t] for t in range(NUM_STEPS)}


def exact_log_evidence() -> float:
    """Return what the Kalman filter says."""
    mean, variance, log_evidence = 0.0, 0.0, 0.0
    for y in YS.tolist():
        mean, variance = RHO * mean, RHO**2 * variance + 1
        total = variance + NOISE**2
        log_evidence -= 0.5 * (math.log(2 * math.pi * total) + (y - mean) ** 2 / total)
        gain = variance / total
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
    return log_evidence
