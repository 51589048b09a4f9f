"""Dual averaging: a step size that reaches a wanted acceptance probability."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

# The constants of Hoffman and Gelman (2014), section 3.2.1.
SHRINKAGE: Final = 0.05
DELAY: Final = 10.0
DECAY: Final = 0.75
CENTER_FACTOR: Final = 10.0


class DualAveraging(NamedTuple):
    """Where a search for a step size is; numbers of shape `()`."""

    log_step: Tensor
    """To try next."""
    log_average: Tensor
    """The weighted mean of those tried: what to keep."""
    error: Tensor
    """The mean of target less acceptance, the first ones counting less."""
    num_updates: Tensor
    center: Tensor
    """What the search is drawn towards: the log of ten times the first step."""

    def update(self, acceptance: Tensor, target: float) -> DualAveraging:
        """Return the search after one more transition.

        With x_t = log step, m the count, g = 0.05, t0 = 10 and k = 0.75,

            H_m = (1 - 1/(m + t0)) H_(m-1) + (target - acceptance)/(m + t0),
            x_m = center - sqrt(m)/g H_m,
            average_m = m^-k x_m + (1 - m^-k) average_(m-1).

        Args:
            acceptance: The mean acceptance probability of the transition, shape `()`.
            target: The wanted one.

        Source: Hoffman and Gelman, The No-U-Turn sampler, JMLR 15 (2014), algorithm 5.
        """
        count = self.num_updates + 1
        share = 1 / (count + DELAY)
        error = (1 - share) * self.error + share * (target - acceptance)
        log_step = self.center - count.sqrt() / SHRINKAGE * error
        weight = count**-DECAY
        log_average = weight * log_step + (1 - weight) * self.log_average
        return DualAveraging(log_step, log_average, error, count, self.center)


def dual_averaging(step_size: Tensor) -> DualAveraging:
    """Return a search that starts at a step size, shape `()`."""
    log_step = step_size.log()
    zero = torch.zeros_like(log_step)
    return DualAveraging(log_step, log_step, zero, zero, log_step + math.log(CENTER_FACTOR))
