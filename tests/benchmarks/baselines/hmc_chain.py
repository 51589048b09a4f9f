"""A whole chain of Hamiltonian Monte Carlo on the quadratic, by hand: one `scan`, noise drawn before it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan

from baselines.hmc import gradient_and_score
from regression import NUM_LEAPFROGS, STEP_SIZE


def step(position: Tensor, momentum: Tensor, chance: Tensor) -> Tensor:
    """Return the next state of one chain."""
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
    return torch.where(chance.log() < log_ratio, proposed, position)


def one_chain(position: Tensor, momenta: Tensor, chances: Tensor) -> Tensor:
    """Return all states, `(num_steps, 3)`."""

    def body(now: Tensor, noise: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        following = step(now, *noise)
        return following, following.clone()

    states: Tensor = scan(body, position, (momenta, chances))[1]
    return states


def many_chains(positions: Tensor, momenta: Tensor, chances: Tensor) -> Tensor:
    """Return all states, `(num_steps, num_chains, 3)`."""
    all_step = torch.func.vmap(step)

    def body(now: Tensor, noise: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        following = all_step(now, *noise)
        return following, following.clone()

    states: Tensor = scan(body, positions, (momenta, chances))[1]
    return states
