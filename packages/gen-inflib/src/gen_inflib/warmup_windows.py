"""The schedule of warm-up: when the metric is estimated, and when a new estimate is taken."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

# Stan's schedule.
INITIAL: Final = 75
FINAL: Final = 50
FIRST_WINDOW: Final = 25


class Windows(NamedTuple):
    """Warm-up in three phases, of which only the middle one estimates the metric.

    The middle one is a sequence of windows, each twice as long as the one before, of which the last is
    stretched to the end. Short warm-ups scale the phases to 15, 75 and 10 percent; very short ones, of less
    than 20 steps, estimate no metric.

    Source: the Stan development team, Stan reference manual, "Automatic parameter tuning".
    """

    begin: int
    """The first step whose position counts."""
    end: int
    """The step after the last that does."""
    first: int
    """The length of the first window."""

    def is_slow(self, step: int | Tensor) -> bool | Tensor:
        """Whether the position after this step counts in the estimate."""
        if isinstance(step, int):
            return self.begin <= step < self.end
        return (step >= self.begin) & (step < self.end)

    def is_last_of_window(self, step: int | Tensor) -> bool | Tensor:
        """Whether the estimate is taken after this step."""
        lasts = self.lasts()
        if isinstance(step, int) or not lasts:
            return step in lasts
        return (step == torch.tensor(lasts, device=step.device)).any()

    def lasts(self) -> list[int]:
        """Return the last step of each window."""
        found = []
        start, length = self.begin, self.first
        while start < self.end:
            stop = start + length
            # Where the next window would not fit, this one takes what is left.
            if stop + 2 * length > self.end:
                stop = self.end
            found.append(stop - 1)
            start, length = stop, 2 * length
        return found


def warmup_windows(num_warmup: int) -> Windows:
    """Return the windows of so many steps."""
    if num_warmup < 20:
        return Windows(num_warmup, num_warmup, FIRST_WINDOW)
    if num_warmup < INITIAL + FIRST_WINDOW + FINAL:
        initial, final = int(0.15 * num_warmup), int(0.1 * num_warmup)
        return Windows(initial, num_warmup - final, num_warmup - initial - final)
    return Windows(INITIAL, num_warmup - FINAL, FIRST_WINDOW)
