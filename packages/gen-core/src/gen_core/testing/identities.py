"""Law 1: every weight follows from project. And what an edited trace must contain."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gen_core import rooms
from gen_core.choicemap import EMPTY, ChoiceMap
from gen_core.same import same
from gen_core.selection import ALL, NONE, Selection
from gen_core.selection_build import where
from gen_core.testing.attempts import clash, constraints, exactly, selections
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.testing.subject import Edit, Subject
    from gen_core.trace import Trace

LAW = Law.IDENTITIES
NUM_CONSTRAINTS = 6


def check_projections(subject: Subject, trace: Trace[Any]) -> None:
    """Check project(ALL) = score and, for a forward proposal, that project adds up densities."""
    everything = where(lambda path: True)
    for selection, found in ((ALL, rooms.project(trace, ALL)), (everything, trace.project(everything))):
        _require_projection(subject, trace, selection, float(found), float(trace.score))
    if not subject.is_forward:
        return
    densities = {path: float(trace.subtrace(path).score) for path in trace.choices.paths()}
    for selection in [NONE, *selections(list(densities), subject.random)]:
        expected = sum(density for path, density in densities.items() if path in selection)
        _require_projection(subject, trace, selection, float(trace.project(selection)), expected)


def check_generate(subject: Subject, trace: Trace[Any]) -> None:
    """Check generate on parts of a trace's choices, for its own call and another."""
    for call in dict.fromkeys([trace.call, subject.random.choice(subject.calls)]):
        for given in subject.sample(constraints(trace.choices, subject.random), NUM_CONSTRAINTS):
            operation = Operation("generate", call, (given,))
            with LAW.checked_on(operation):
                new, weight = subject.seeded(partial(call.generate, given))
                if clash(given, new.choices):
                    continue
                _require_agreement(new, given, EMPTY, operation)
                expected = new.project(exactly(given.paths()))
            if not subject.close(weight, expected, new):
                formula = f"project(addresses of u) is {float(expected):.8g}"
                raise LAW.broken(operation, f"the weight is {float(weight):.8g}, but {formula}")


def check_edit(edit: Edit) -> None:
    """Check an edit's weight, what its trace keeps, and what it discards."""
    if isinstance(edit.given, ChoiceMap):
        _check_update(edit, edit.given)
    else:
        _check_regenerate(edit, edit.given)


def _check_update(edit: Edit, given: ChoiceMap) -> None:
    old, new = edit.old, edit.result.trace
    _require_agreement(new, given, old.choices, edit)
    known = exactly([*old.choices.paths(), *given.paths()])
    expected = new.project(known) - old.score
    _require_weight(edit, float(expected), "t'.project(addresses of t and u) - t.score")
    _require_discard(edit, exactly(given.paths()))


def _check_regenerate(edit: Edit, selection: Selection) -> None:
    old, new = edit.old, edit.result.trace
    outside = exactly([path for path in old.choices.paths() if path not in selection])
    outside_new = exactly([path for path in new.choices.paths() if path not in selection])
    _require_agreement(new, EMPTY, old.choices.filter(outside), edit)
    expected = new.project(outside) - old.project(outside_new)
    formula = "t'.project(addresses of t outside S) - t.project(addresses of t' outside S)"
    _require_weight(edit, float(expected), formula)
    _require_discard(edit, selection)


def _require_projection(
    subject: Subject, trace: Trace[Any], selection: Selection, found: float, expected: float
) -> None:
    if not subject.close(found, expected, trace):
        operation = Operation("project", trace.choices, (selection,))
        raise LAW.broken(operation, f"it is {found:.8g} and not {expected:.8g}")


def _require_agreement(trace: Trace[Any], given: ChoiceMap, kept: ChoiceMap, operation: object) -> None:
    for path, value in trace.choices.leaves():
        source, expected = ("given", given) if path in given else ("kept", kept)
        if path in expected and not _same_number(value, expected[path]):
            raise LAW.broken(
                operation, f"the choice at {path!r} is {value!r} and not the {source} {expected[path]!r}"
            )


def _require_weight(edit: Edit, expected: float, formula: str) -> None:
    weight = float(edit.result.weight)
    if not edit.subject.close(weight, expected, edit.old, edit.result.trace):
        raise LAW.broken(edit, f"the weight is {weight:.8g}, but {formula} is {expected:.8g}")


def _require_discard(edit: Edit, replaced: Selection) -> None:
    old, new, discard = edit.old.choices, edit.result.trace.choices, edit.result.discard
    gone = {path for path in old.paths() if path in replaced or path not in new}
    if set(discard.paths()) != gone or not all(same(discard[path], old[path]) for path in gone):
        addresses = ", ".join(sorted(map(repr, gone))) or "nothing"
        raise LAW.broken(
            edit, f"the discard is {discard!r}, but {addresses} of {old!r} was replaced or is gone"
        )


def _same_number(value: Any, given: Any) -> bool:
    # A given value becomes of the kind that the distribution draws, so types may differ.
    if same(value, given):
        return True
    equal = value == given
    return bool(equal.all()) if hasattr(equal, "all") else bool(equal)
