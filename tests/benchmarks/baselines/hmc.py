"""A step of Hamiltonian Monte Carlo on the quadratic, by hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from regression import NOISE, NUM_LEAPFROGS, STEP_SIZE, XS, YS

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def step(position: Tensor) -> Tensor:
    """Return the next state of the chain."""
    momentum = torch.randn(3)
    gradient, start = gradient_and_score(position)
    score = start
    energy = 0.5 * momentum.square().sum() - start
    proposed = position
    for _ in range(NUM_LEAPFROGS):
        momentum = momentum + 0.5 * STEP_SIZE * gradient
        proposed = proposed + STEP_SIZE * momentum
        gradient, score = gradient_and_score(proposed)
        momentum = momentum + 0.5 * STEP_SIZE * gradient
    log_ratio = energy - (0.5 * momentum.square().sum() - score)
    return torch.where(torch.rand(()).log() < log_ratio, proposed, position)


def log_density(position: Tensor) -> Tensor:
    """Return the log density of coefficients and measurements."""
    means = position[0] + position[1] * XS + position[2] * XS**2
    z = (YS - means) / NOISE
    prior = -0.5 * position.square() - HALF_LOG_TWO_PI
    return prior.sum() + (-0.5 * z.square() - (math.log(NOISE) + HALF_LOG_TWO_PI)).sum()


gradient_and_score = torch.func.grad_and_value(log_density)
