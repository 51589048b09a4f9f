"""Law 7: regenerate balances every move against its reverse, on finite models."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from gen_core.testing.attempts import exactly, selections
from gen_core.testing.enumeration import enumerate_runs
from gen_core.testing.finite import Flow, Simulated, State, state_of
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.selection import Selection
    from gen_core.testing.subject import Subject

Moves: TypeAlias = dict[tuple[State, State], float]
"""The flow from one state to another: p(t) q(t -> t'), with or without exp(weight)."""

NUM_SELECTIONS = 4


def check_regenerate(subject: Subject, call: Call[Any], target: Call[Any]) -> None:
    """Check p(t) q(t -> t') exp(weight) = p(t') q(t' -> t), and that what is selected is drawn from q."""
    starts, ends = Simulated.of(call), Simulated.of(target)
    choices = [trace.choices for trace in (*starts.traces, *ends.traces)]
    paths = list(dict.fromkeys(path for each in choices for path in each.paths()))
    for selection in subject.sample(selections(paths, subject.random), NUM_SELECTIONS):
        operation = Operation("regenerate", call, (selection, target))
        with Law.BALANCE.checked_on(operation):
            there = _moves(subject, call, target, selection, ends, is_weighted=True)
            back = _moves(subject, target, call, selection, starts, is_weighted=False)
        returned = {(end, start): flow for (start, end), flow in back.items()}
        # A start that this call cannot make has p(t) = 0, and the reverse move an infinite weight.
        for start, end in (move for move in there.keys() | returned.keys() if move[0] in starts.runs):
            flows = there.get((start, end), 0.0), returned.get((start, end), 0.0)
            if not subject.close(*flows):
                sides = f"p(t) q(t -> t') exp(weight) is {flows[0]:.8g}, but p(t') q(t' -> t) {flows[1]:.8g}"
                raise Law.BALANCE.broken(operation, f"from {dict(start)!r} to {dict(end)!r}, {sides}")


def _moves(
    subject: Subject,
    call: Call[Any],
    target: Call[Any],
    selection: Selection,
    ends: Simulated,
    *,
    is_weighted: bool,
) -> Moves:
    moves: Moves = defaultdict(float)
    for old, log_start in enumerate_runs(call.simulate):
        kept = exactly([path for path in old.choices.paths() if path not in selection])
        flow = Flow(subject.eps)
        for edit, log_prob in enumerate_runs(partial(old.regenerate, selection, target)):
            weight = float(edit.weight) if is_weighted else 0.0
            new = edit.trace
            moves[state_of(old.choices), state_of(new.choices)] += math.exp(log_start + log_prob + weight)
            flow.add(new.choices, log_prob + float(new.project(kept)))
        if not subject.untraced:
            operation = Operation("regenerate", old.choices, (selection, target))
            flow.require(Law.PROPOSAL, ends, old.choices.filter(kept), operation)
    return moves
