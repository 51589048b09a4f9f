"""Law 7: regenerate balances every move against its reverse, on finite models."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from gen_core.testing.attempts import selections
from gen_core.testing.enumeration import enumerate_runs
from gen_core.testing.finite import Simulated, State, state_of
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.selection import Selection
    from gen_core.testing.subject import Subject

Moves: TypeAlias = dict[tuple[State, State], float]
"""The flow from one state to another: p(t) q(t -> t'), with or without exp(weight)."""

NUM_SELECTIONS = 3


def check_regenerate(subject: Subject, call: Call[Any], target: Call[Any]) -> None:
    """Check p(t) q(t -> t') exp(weight) = p(t') q(t' -> t)."""
    starts, ends = Simulated.of(call), Simulated.of(target)
    choices = [trace.choices for trace in (*starts.traces, *ends.traces)]
    paths = list(dict.fromkeys(path for each in choices for path in each.paths()))
    for selection in subject.sample(selections(paths, subject.random), NUM_SELECTIONS):
        operation = Operation("regenerate", call, (selection, target))
        with Law.BALANCE.checked_on(operation):
            there = _moves(call, target, selection, is_weighted=True)
            back = _moves(target, call, selection, is_weighted=False)
        returned = {(end, start): flow for (start, end), flow in back.items()}
        # A start that this call cannot make has p(t) = 0, and the reverse move an infinite weight.
        for start, end in (move for move in there.keys() | returned.keys() if move[0] in starts.runs):
            flows = there.get((start, end), 0.0), returned.get((start, end), 0.0)
            if not subject.close(*flows):
                sides = f"p(t) q(t -> t') exp(weight) is {flows[0]:.8g}, but p(t') q(t' -> t) {flows[1]:.8g}"
                raise Law.BALANCE.broken(operation, f"from {dict(start)!r} to {dict(end)!r}, {sides}")


def _moves(call: Call[Any], target: Call[Any], selection: Selection, *, is_weighted: bool) -> Moves:
    moves: Moves = defaultdict(float)
    for old, log_start in enumerate_runs(call.simulate):
        for edit, log_prob in enumerate_runs(partial(old.regenerate, selection, target)):
            weight = float(edit.weight) if is_weighted else 0.0
            move = state_of(old.choices), state_of(edit.trace.choices)
            moves[move] += math.exp(log_start + log_prob + weight)
    return moves
