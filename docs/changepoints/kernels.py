"""The Markov chain: one sweep moves everything that is random."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from changepoints.proposals import birth_or_death, refit, renoise, shift, swap
from gen_core import Call, Trace, select
from gen_distributions import uniform_discrete
from gen_inflib import Kernel, cycle, for_random, metropolis_hastings, repeat, when


def some_change(trace: Trace[Tensor]) -> Call[Tensor]:
    """Pick one of the changes."""
    return uniform_discrete(0, int(trace["num_changes"]) - 1)


def any_but_the_last(trace: Trace[Tensor]) -> Call[Tensor]:
    """Pick one of the changes before the last."""
    return uniform_discrete(0, int(trace["num_changes"]) - 2)


def shift_one(i: Tensor) -> Kernel[Tensor]:
    """Move change i a little."""
    return partial(metropolis_hastings, proposal=lambda trace: shift(trace, int(i)))


def redraw_one(i: Tensor) -> Kernel[Tensor]:
    """Move change i anywhere."""
    return partial(metropolis_hastings, proposal=select(("change", int(i), "time")))


def swap_with_last(i: Tensor) -> Kernel[Tensor]:
    """Exchange the last change with change i."""
    return partial(
        metropolis_hastings, proposal=lambda trace: swap(trace, int(i), int(trace["num_changes"]) - 1)
    )


def at_least(count: int, kernel: Kernel[Any]) -> Kernel[Any]:
    """Apply a kernel where there are so many changes."""
    return when(lambda trace: int(trace["num_changes"]) >= count, kernel)


sweep: Kernel[Tensor] = cycle(
    repeat(partial(metropolis_hastings, proposal=birth_or_death), 3),
    at_least(2, for_random(any_but_the_last, swap_with_last)),
    at_least(1, for_random(some_change, shift_one)),
    at_least(1, for_random(some_change, redraw_one)),
    partial(metropolis_hastings, proposal=refit),
    partial(metropolis_hastings, proposal=renoise),
)
