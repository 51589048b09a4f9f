"""How long a move takes, in each model and for each number of points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, TypeAlias

import torch

from gen_core import Trace
from outliers.models import MODELS, flip, start

Times: TypeAlias = Mapping[str, Mapping[int, float]]
"""For each model, the seconds a move by the number of points."""

LOOP = "dynamic, loop"
MOST_IN_A_LOOP = 1000
MANY_IN_A_LOOP = 100


def time_moves(sizes: Sequence[int], num_moves: int, num_rounds: int = 7) -> Times:
    """Return the seconds that a move of one flag takes; of a loop, for few points only.

    Every round times each model for each size, so that a slow moment hits all alike; of each, the fastest
    round counts.
    """
    traces = {
        (name, size): start(name, size)
        for name in MODELS
        for size in sizes
        if name != LOOP or size <= MOST_IN_A_LOOP
    }
    times: dict[str, dict[int, float]] = defaultdict(dict)
    for _ in range(num_rounds):
        for name, size in traces:
            moves = min(num_moves, 4) if name == LOOP and size > MANY_IN_A_LOOP else num_moves
            traces[name, size], seconds = timed(traces[name, size], size, moves)
            times[name][size] = min(seconds / moves, times[name].get(size, float("inf")))
    return times


def timed(trace: Trace[Any], num_points: int, num_moves: int) -> tuple[Trace[Any], float]:
    """Return the trace after some moves of flags drawn at random, and the seconds that they took."""
    numbers = torch.randint(num_points, (num_moves,)).tolist()
    begin = perf_counter()
    for number in numbers:
        trace = flip(trace, number)
    return trace, perf_counter() - begin
