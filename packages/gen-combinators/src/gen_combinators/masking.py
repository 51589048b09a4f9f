"""The operations of Switch, or_else and Mask where the index cannot be read: every branch runs.

Scores, weights, return values and shared choices are those of the branch that is taken, chosen by
`torch.where`. What the others do must not matter, and neither raise: they get their own draws in place of
the constraints, and nothing flows back from them. An edit that may change the branch does, for each pair of
an old and a new branch, what it would do if these were the ones, and so costs their product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from gen_combinators.branch_trace import BranchTrace, MaskedTrace, masked
from gen_combinators.harmless import donor, guarded, harmless
from gen_combinators.where_values import where_number
from gen_core import UNCHANGED, UNKNOWN, Generated, MissingChoiceError, Updated, derived, rooms, where
from gen_core.choose import choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from gen_combinators.branching import Branching
    from gen_core import ArgDiffs, Call, ChoiceMap, Selection, Trace


def simulate(gen_fn: Branching[..., Any], call: Call[Any], index: Tensor) -> MaskedTrace[Any]:
    """Simulate every branch."""
    calls = _calls(gen_fn, call, index)
    return masked(call, index, {number: rooms.simulate(each) for number, each in calls.items()})


def generate(
    gen_fn: Branching[..., Any], call: Call[Any], index: Tensor, constraints: ChoiceMap
) -> Generated[Any]:
    """Generate every branch; the weight is that of the one that is taken."""
    traces, weights = {}, {}
    for number, each in _calls(gen_fn, call, index).items():
        given = constraints
        if not constraints.is_empty:
            given = harmless(constraints, donor(each), index == number)
        traces[number], weights[number] = rooms.generate(each, given)
    return Generated(masked(call, index, traces), where_number(index, weights))


def assess(
    gen_fn: Branching[..., Any], call: Call[Any], index: Tensor, choices: ChoiceMap
) -> MaskedTrace[Any]:
    """Assess every branch.

    A branch whose choices are not all given cannot be the one that is taken: if it is, the score is NaN, as
    for bad parameters, where nothing can be raised.

    Raises:
        MissingChoiceError: No branch has all its choices.
    """
    traces: dict[int, Trace[Any]] = {}
    missing = []
    complete = {}
    for number, each in _calls(gen_fn, call, index).items():
        own = donor(each)
        absent = [path for path in own.choices.paths() if path not in choices]
        missing += absent[:1]
        given = own.choices.override(choices) if absent else choices
        traces[number] = rooms.assess(each, harmless(given, own, index == number))
        if not absent:
            complete[number] = traces[number].score
    if not complete:
        raise MissingChoiceError(gen_fn.name, missing[0], choices.paths())
    trace = masked(call, index, traces)
    score = where_number(index, complete)
    return MaskedTrace(call, index, traces, trace.retval, score, trace.choices)


def update(
    gen_fn: Branching[..., Any],
    old: Trace[Any],
    call: Call[Any],
    index: int | Tensor,
    argdiffs: ArgDiffs,
    constraints: ChoiceMap,
) -> Updated[Any]:
    """Update the branch where it stays, generate the new one under the old choices where it changes."""

    def stay(move: _Move) -> Updated[Any]:
        given = harmless(constraints, move.old, move.taken)
        diffs = gen_fn.branch_diffs(argdiffs, move.old, move.call)
        return rooms.update(move.old, move.call, diffs, given)

    def change(move: _Move) -> Updated[Any]:
        given = harmless(move.old.choices.override(constraints), move.donor, move.taken)
        trace, weight = rooms.generate(move.call, given)
        discard = derived.discarded(move.old, trace, constraints.addresses())
        return Updated(trace, weight - move.old.score, UNKNOWN, discard)

    return _edit(gen_fn, old, call, index, stay, change)


def regenerate(
    gen_fn: Branching[..., Any],
    old: Trace[Any],
    call: Call[Any],
    index: int | Tensor,
    argdiffs: ArgDiffs,
    selection: Selection,
) -> Updated[Any]:
    """Regenerate the branch where it stays, generate the new one under what is kept where it changes."""

    def stay(move: _Move) -> Updated[Any]:
        diffs = gen_fn.branch_diffs(argdiffs, move.old, move.call)
        return rooms.regenerate(move.old, move.call, diffs, selection)

    def change(move: _Move) -> Updated[Any]:
        kept = move.old.choices.filter(~selection)
        trace, weight = rooms.generate(move.call, harmless(kept, move.donor, move.taken))
        both = where(lambda path: path in trace.choices) - selection
        discard = derived.discarded(move.old, trace, selection)
        return Updated(trace, weight - rooms.project(move.old, both), UNKNOWN, discard)

    return _edit(gen_fn, old, call, index, stay, change)


def project(trace: MaskedTrace[Any], selection: Selection) -> Tensor:
    """Project the branch that was taken."""
    parts = {number: rooms.project(each, selection) for number, each in trace.branches.items()}
    return where_number(trace.index, parts)


class _Move(NamedTuple):
    """From one old branch to a new one, perhaps the same."""

    old: Trace[Any]
    call: Call[Any]
    donor: Trace[Any]
    """A trace of the new branch, for harmless values."""
    taken: Tensor
    """Whether this is the move that is made."""


def _calls(gen_fn: Branching[..., Any], call: Call[Any], index: Tensor) -> dict[int, Call[Any]]:
    numbers = range(gen_fn.num_branches)
    return {number: guarded(gen_fn.branch_call(call, number), index == number) for number in numbers}


def _edit(
    gen_fn: Branching[..., Any],
    old: Trace[Any],
    call: Call[Any],
    index: int | Tensor,
    stay: Callable[[_Move], Updated[Any]],
    change: Callable[[_Move], Updated[Any]],
) -> Updated[Any]:
    """Make every move that may be the one, and choose by the old and by the new index."""
    before, was = _branches(old)
    may_change = index is not was
    numbers = [index] if isinstance(index, int) else range(gen_fn.num_branches)
    traces, weights, discards, retdiffs = {}, {}, [], []
    for number in numbers:
        new = gen_fn.branch_call(call, number)
        own = before[number] if number in before else donor(new)
        edits: dict[int, tuple[_Move, Updated[Any]]] = {}
        for other, branch in before.items():
            if other == number or may_change:
                move = _Move(branch, new, own, _both(was, other, index, number))
                edits[other] = move, stay(move) if other == number else change(move)
        updates = {other: edited for other, (_, edited) in edits.items()}
        traces[number] = _chosen(edits, number)
        weights[number] = _weight(was, updates)
        discards += [edited.discard for edited in updates.values()]
        retdiffs += [edited.retdiff for edited in updates.values()]
    # Whether an element lost a choice cannot be read: the discard has what any may have lost.
    discard = old.choices.filter(where(lambda path: any(path in each for each in discards)))
    if isinstance(index, int):
        return Updated(BranchTrace(call, index, traces[index]), weights[index], UNKNOWN, discard)
    trace = masked(call, index, traces)
    retdiff = UNKNOWN if may_change or any(diff is not UNCHANGED for diff in retdiffs) else UNCHANGED
    return Updated(trace, where_number(index, weights), retdiff, discard)


def _branches(trace: Trace[Any]) -> tuple[Mapping[int, Trace[Any]], int | Tensor]:
    if isinstance(trace, MaskedTrace):
        return trace.branches, trace.index
    assert isinstance(trace, BranchTrace)
    return {trace.number: trace.branch}, trace.number


def _both(was: int | Tensor, other: int, index: int | Tensor, number: int) -> Tensor:
    """Return whether an edit leads from one branch to another; one of the two at least is not known."""
    known = [each == k for each, k in ((was, other), (index, number)) if isinstance(each, Tensor)]
    return known[0] & known[-1]


def _weight(was: int | Tensor, edits: Mapping[int, Updated[Any]]) -> Tensor:
    if isinstance(was, int):
        return edits[was].weight
    return where_number(was, {number: edited.weight for number, edited in edits.items()})


def _chosen(edits: Mapping[int, tuple[_Move, Updated[Any]]], number: int) -> Trace[Any]:
    """Return the new trace of one branch: the one that stays unless another branch moves here.

    A branch that is taken neither before nor after keeps what it has, so that nothing changes where nothing
    is to be done.
    """
    _, last = edits.get(number) or next(iter(edits.values()))
    chosen: Trace[Any] = last.trace
    for other, (move, edited) in edits.items():
        if other != number and edited is not last:
            chosen = choose(move.taken, edited.trace, chosen)
    return chosen
