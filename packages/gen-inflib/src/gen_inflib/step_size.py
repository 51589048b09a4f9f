"""A first step size, from one leapfrog."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from gen_distributions import normal
from gen_inflib.accept import choose_values
from gen_inflib.integrators import Density, Phase, energy, leapfrog, log_ratio
from gen_inflib.iteration import iterate_while
from gen_inflib.metrics import Metric
from gen_inflib.unconstrained import Scored

LOG_CROSSING: Final = math.log(0.8)
MAX_DOUBLINGS: Final = 50


class _Search(NamedTuple):
    step_size: Tensor
    growing: Tensor
    """1 if steps grow, -1 if they shrink."""
    num_tries: Tensor
    is_over: Tensor


def find_step_size(
    density: Density, metric: Metric, position: Tensor, here: Scored, first: float = 1.0
) -> Tensor:
    """Return a step size for which one leapfrog is accepted with a probability near 0.8, shape `()`.

    It doubles, or halves, until the probability crosses 0.8.

    Source: Hoffman and Gelman, JMLR 15 (2014), algorithm 4, with the threshold of Stan.
    """
    start = torch.full_like(here.log_density, first)

    def log_acceptance(step_size: Tensor) -> Tensor:
        momentum = metric.momentum(normal.sample(torch.zeros_like(position), 1.0))
        before = Phase(position, momentum, *here)
        after = leapfrog(density, metric, before, step_size.to(position.dtype))
        return log_ratio(energy(metric, before), energy(metric, after))

    growing = torch.where(log_acceptance(start) > LOG_CROSSING, 1.0, -1.0).to(start.dtype)

    def advance(now: _Search) -> _Search:
        step_size = now.step_size * torch.exp2(growing)
        crossed = (log_acceptance(step_size) - LOG_CROSSING) * growing < 0
        count = now.num_tries + 1
        # The last one that is accepted often, when it grows; the first, when it shrinks.
        kept = torch.where(crossed & (growing > 0), now.step_size, step_size)
        moved = _Search(kept, growing, count, crossed | (count >= MAX_DOUBLINGS))
        return choose_values(now.is_over, now, moved)

    zero = torch.zeros_like(start)
    search = _Search(start, growing, zero, torch.zeros_like(start, dtype=torch.bool))
    return iterate_while(lambda now: ~now.is_over, advance, search).step_size
