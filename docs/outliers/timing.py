"""How long a move takes, in one model after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TypeAlias

import torch

from outliers.models import MODELS, flip, start

Times: TypeAlias = Mapping[str, Mapping[int, float]]
"""For each model, the seconds a move by the number of points."""

NUM_ROUNDS = 5
MOST_IN_A_LOOP = 1000


def time_moves(sizes: Sequence[int], num_moves: int) -> Times:
    """Return the seconds that a move of one flag takes; of a loop, for few points only."""
    return {
        name: {
            size: seconds_a_move(name, size, num_moves)
            for size in sizes
            if name != "dynamic, loop" or size <= MOST_IN_A_LOOP
        }
        for name in MODELS
    }


def seconds_a_move(name: str, num_points: int, num_moves: int) -> float:
    """Return the mean over a round of moves, of the round that was disturbed least."""
    trace = start(name, num_points)
    moves = min(num_moves, 4) if name == "dynamic, loop" and num_points > 100 else num_moves
    rounds: list[float] = []
    for _ in range(NUM_ROUNDS):
        numbers = torch.randint(num_points, (moves,)).tolist()
        begin = perf_counter()
        for number in numbers:
            trace = flip(trace, number)
        rounds.append((perf_counter() - begin) / moves)
    return min(rounds)
