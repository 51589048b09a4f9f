"""How a run is divided into stretches of steps."""

from __future__ import annotations

import math
from collections.abc import Iterator

LONGEST = 500
"""Steps in one compiled program, or between two updates of the progress bar at most."""
SHORTEST = 20
"""A compiled program of fewer steps is not worth its call."""


def stretches(
    first: int, num_warmup: int, num_steps: int, checkpoint_every: int | None, *, compiled: bool
) -> Iterator[tuple[int, int]]:
    """Yield the number of the first step of each stretch, and how many steps it has.

    A stretch ends with the warm-up, at every checkpoint, and at the end. Compiled, stretches are of one
    length if they can be, since each length is a program.

    Args:
        first: How many steps were taken before.
        num_warmup: How many steps warm up.
        num_steps: How many steps there are in all.
        checkpoint_every: The steps between two checkpoints, or None.
        compiled: Whether stretches of one length are worth a search.
    """
    ends = {num_warmup, num_steps}
    if checkpoint_every is not None:
        ends |= set(range(checkpoint_every, num_steps, checkpoint_every))
    marks = sorted(end for end in ends if end > first)
    lengths = [end - start for start, end in zip([first, *marks], marks, strict=False)]
    length = _common(lengths) if compiled else LONGEST // 10
    for start, end in zip([first, *marks], marks, strict=False):
        for step in range(start, end, length):
            yield step, min(length, end - step)


def _common(lengths: list[int]) -> int:
    """Return a length that divides all, or the longest one if those that do are too short."""
    common = math.gcd(*lengths)
    fitting = [length for length in range(1, min(common, LONGEST) + 1) if common % length == 0]
    if fitting and fitting[-1] >= min(SHORTEST, *lengths):
        return fitting[-1]
    return min(LONGEST, max(lengths, default=1))
