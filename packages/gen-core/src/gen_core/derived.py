"""Rooms derived from fewer operations, by the three identities of the interface.

With `u` the constraints, `S` a selection, `t` the old and `t'` the new trace:

    update:      weight = t'.project(addresses of t and u) - t.score
    regenerate:  weight = t'.project(addresses of t outside S) - t.project(addresses of t' outside S)

and generating `t'` under the choices at `A` weighs `t'.project(A)`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from gen_core import rooms
from gen_core.call import Call
from gen_core.choicemap import EMPTY, ChoiceMap
from gen_core.diff import compare_retvals
from gen_core.errors import MissingChoiceError
from gen_core.results import Updated
from gen_core.selection import Selection
from gen_core.selection_build import where
from gen_core.trace import Trace

R = TypeVar("R")


def simulate(call: Call[R]) -> Trace[R]:
    """Return an unconstrained trace."""
    return rooms.generate(call, EMPTY).trace


def sample(call: Call[R]) -> R:
    """Return the value of a fresh run."""
    return rooms.simulate(call).retval


def assess(call: Call[R], choices: ChoiceMap) -> Trace[R]:
    """Return the trace of exactly these choices, from the generate room."""
    trace = rooms.generate(call, choices).trace
    missing = [path for path in trace.choices.paths() if path not in choices]
    if missing:
        raise MissingChoiceError(call.gen_fn.name, missing[0], choices.paths())
    return trace


def update(old: Trace[Any], call: Call[R], constraints: ChoiceMap) -> Updated[R]:
    """Return the update to `call`, from the generate room."""
    trace, weight = rooms.generate(call, old.choices.override(constraints))
    retdiff = compare_retvals(old.retval, trace.retval, old.retval_version)
    return Updated(
        trace, weight - old.score.detach(), retdiff, discarded(old, trace, constraints.addresses())
    )


def regenerate(old: Trace[Any], call: Call[R], selection: Selection) -> Updated[R]:
    """Return the regeneration to `call`, from the generate and project rooms."""
    kept = old.choices.filter(~selection)
    trace, weight = rooms.generate(call, kept)
    weight = weight - rooms.project(old, _at(trace.choices) - selection)
    retdiff = compare_retvals(old.retval, trace.retval, old.retval_version)
    return Updated(trace, weight, retdiff, discarded(old, trace, selection))


def discarded(old: Trace[Any], new: Trace[Any], replaced: Selection) -> ChoiceMap:
    """Return the old values at the addresses that are gone, or that were replaced."""
    return old.choices.filter(replaced | ~_at(new.choices))


def _at(choices: ChoiceMap) -> Selection:
    """Select exactly these addresses: where a choice has replaced a callee, what was below it is gone."""
    return where(lambda path: path in choices)
