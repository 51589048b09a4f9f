"""Laws 3, 4, 5 and 8: edits leave the old trace alone, can be nothing, can be undone, know what changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from gen_core import rooms
from gen_core.choicemap import EMPTY, ChoiceMap
from gen_core.diff import UNCHANGED, UNKNOWN, IntDiff, VectorDiff
from gen_core.same import same
from gen_core.selection import NONE
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation
from gen_core.testing.snapshot import Snapshot, copied

if TYPE_CHECKING:
    from collections.abc import Callable

    from gen_core.results import Updated
    from gen_core.testing.subject import Edit, Subject
    from gen_core.trace import Trace


def check_edit_leaves_the_old_trace(edit: Edit) -> None:
    """Check law 3 on an edit."""
    difference = edit.before.difference(edit.old)
    if difference:
        raise Law.IMMUTABLE.broken(edit, f"of the old trace, {difference}")


def check_operations_leave_the_trace(subject: Subject, trace: Trace[Any]) -> None:
    """Check law 3 on the operations that are no edits, and on what they are given."""
    operations: dict[str, Callable[[ChoiceMap], object]] = {
        "generate": trace.call.generate,
        "update": trace.update,
        "project": lambda given: trace.project(given.addresses()),
    }
    if not subject.untraced:
        operations["assess"] = trace.call.assess
    if subject.differentiable and not subject.untraced:
        operations["choice_gradients"] = lambda given: trace.choice_gradients(NONE)
        operations["accumulate_param_gradients"] = lambda given: trace.accumulate_param_gradients(None, 0.0)
    before = Snapshot(trace)
    for name, run in operations.items():
        operation = Operation(name, trace.call, (trace.choices,))
        given = trace.choices.map(copied)
        with Law.IMMUTABLE.checked_on(operation):
            subject.seeded(partial(run, given))
        difference = before.difference(trace)
        if difference:
            raise Law.IMMUTABLE.broken(operation, f"of the trace, {difference}")
        if not same(dict(given.leaves()), dict(trace.choices.leaves())):
            raise Law.IMMUTABLE.broken(operation, f"what it was given became {given!r}")


def check_nothing(subject: Subject, trace: Trace[Any]) -> None:
    """Check law 4: with and without hints, at the doors and in the rooms."""
    for name, edit in {"update({})": trace.update({}), "regenerate(NONE)": trace.regenerate(NONE)}.items():
        operation = Operation(name, trace.choices)
        if edit.trace is not trace or edit.retdiff is not UNCHANGED:
            raise Law.NOTHING.broken(operation, "another trace came back, or one that is not UNCHANGED")
        _require_nothing(subject, trace, edit, operation)
    if subject.untraced:
        return
    hints = (UNKNOWN,) * len(trace.call.values())
    edits: dict[str, Callable[[], Updated[Any]]] = {
        "update({}, argdiffs=UNKNOWN)": partial(trace.update, {}, argdiffs=UNKNOWN),
        "regenerate(NONE, argdiffs=UNKNOWN)": partial(trace.regenerate, NONE, argdiffs=UNKNOWN),
        "do_update with unknown arguments": partial(rooms.update, trace, trace.call, hints, EMPTY),
    }
    for name, repeat in edits.items():
        operation = Operation(name, trace.choices)
        with Law.NOTHING.checked_on(operation):
            _require_nothing(subject, trace, repeat(), operation)


def check_way_back(edit: Edit) -> None:
    """Check law 5: update with the discard and the old call leads back.

    The weight is negated where nothing was freshly drawn; after an update only, since regenerate weighs
    otherwise.
    """
    old, new = edit.old, edit.result.trace
    if edit.subject.untraced or not torch.isfinite(new.score):
        return
    law = Law.REVERSIBLE
    back = new.update(edit.result.discard, old.call)
    if back.trace.choices != old.choices:
        raise law.broken(f"update(discard) after {edit}", f"it leads to {back.trace.choices!r}")
    if not same(back.trace.retval, old.retval, edit.subject.eps):
        raise law.broken(f"update(discard) after {edit}", f"it returns {back.trace.retval!r}")
    if not isinstance(edit.given, ChoiceMap):
        return
    drawn = set(new.choices.paths()) - set(old.choices.paths()) - set(edit.given.paths())
    if not drawn and not edit.subject.close(back.weight, -edit.result.weight, old, new):
        weights = f"{float(edit.result.weight):.8g} and back {float(back.weight):.8g}"
        raise law.broken(f"update(discard) after {edit}", f"the weights are {weights}")


def check_retdiff(edit: Edit) -> None:
    """Check law 8."""
    before, now, diff = edit.old.retval, edit.result.trace.retval, edit.result.retdiff
    truthful = True
    if diff is UNCHANGED:
        truthful = same(before, now)
    elif isinstance(diff, IntDiff):
        truthful = now == before + diff.difference
    elif isinstance(diff, VectorDiff):
        kept = set(range(min(diff.new_length, diff.old_length))) - set(diff.updated)
        lengths = (len(before), len(now)) == (diff.old_length, diff.new_length)
        truthful = lengths and all(same(before[i], now[i]) for i in kept)
    if not truthful:
        raise Law.RETDIFF.broken(
            edit, f"it says {diff!r} of a return value that was {before!r} and is {now!r}"
        )


def _require_nothing(subject: Subject, trace: Trace[Any], edit: Updated[Any], operation: object) -> None:
    law, new = Law.NOTHING, edit.trace
    if new.choices != trace.choices or not edit.discard.is_empty:
        raise law.broken(operation, f"the choices became {new.choices!r}, and {edit.discard!r} was discarded")
    if not subject.close(edit.weight, 0.0, trace):
        raise law.broken(operation, f"the weight is {float(edit.weight):.8g}")
    if not subject.close(new.score, trace.score):
        raise law.broken(operation, f"the score was {float(trace.score):.8g} and is {float(new.score):.8g}")
    if not same(new.retval, trace.retval, subject.eps):
        raise law.broken(operation, f"the return value was {trace.retval!r} and is {new.retval!r}")
