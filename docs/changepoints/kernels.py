"""The Markov chain: one sweep moves everything that is random."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from changepoints.proposals import birth_or_death, refit, renoise, shift, swap
from gen_core import Trace, select
from gen_distributions import uniform_discrete
from gen_inflib import Kernel, Moves, cycle, metropolis_hastings, repeat


def shift_one(trace: Trace[Tensor]) -> tuple[Trace[Tensor], Any]:
    """Move one change a little."""
    num_changes = int(trace["num_changes"])
    if not num_changes:
        return trace, Moves(())
    i = int(uniform_discrete.sample(0, num_changes - 1))
    return metropolis_hastings(trace, lambda trace: shift(trace, i))


def redraw_one(trace: Trace[Tensor]) -> tuple[Trace[Tensor], Any]:
    """Move one change anywhere."""
    num_changes = int(trace["num_changes"])
    if not num_changes:
        return trace, Moves(())
    i = int(uniform_discrete.sample(0, num_changes - 1))
    return metropolis_hastings(trace, select(("change", i, "time")))


def swap_last(trace: Trace[Tensor]) -> tuple[Trace[Tensor], Any]:
    """Exchange the last change with another."""
    last = int(trace["num_changes"]) - 1
    if last < 1:
        return trace, Moves(())
    i = int(uniform_discrete.sample(0, last - 1))
    return metropolis_hastings(trace, lambda trace: swap(trace, i, last))


sweep: Kernel[Tensor] = cycle(
    repeat(partial(metropolis_hastings, proposal=birth_or_death), 3),
    swap_last,
    shift_one,
    redraw_one,
    partial(metropolis_hastings, proposal=refit),
    partial(metropolis_hastings, proposal=renoise),
)
