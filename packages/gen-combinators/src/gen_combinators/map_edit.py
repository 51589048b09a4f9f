"""What update and regenerate of a Map share: edits of the elements that a change reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

from gen_combinators.batching import Refusal, attempt, refusal_of, remember
from gen_combinators.elements import Elements
from gen_combinators.map_changes import Changes
from gen_combinators.map_groups import Group, rest
from gen_combinators.map_run import at_element, refuse_nan, wide_sum
from gen_combinators.map_trace import MapTrace
from gen_core import UNCHANGED, UNKNOWN, Updated, VectorDiff, total
from gen_core.arguments import all_unchanged
from gen_core.choicemap import branch
from gen_core.choicemap_rows import Rows
from gen_core.columns import Columns
from gen_core.totals import moved

if TYPE_CHECKING:
    from torch import Tensor

    from gen_combinators.map import Map
    from gen_combinators.map_run import Entered
    from gen_core import ArgDiffs, Call, ChoiceMap, Diff, Trace
    from gen_core.totals import Score

R = TypeVar("R")
Room: TypeAlias = "Callable[[Trace[Any], Call[Any], ArgDiffs, Any], Updated[Any]]"


@final
class Edit:
    """The new trace of a Map as it grows out of an old one. Elements that nothing reaches cost nothing."""

    def __init__(self, gen_fn: Map[..., Any], old: Trace[Any], call: Call[Any], argdiffs: ArgDiffs) -> None:
        """Prepare to move `old` to the arguments of `call`."""
        assert isinstance(old, MapTrace)
        self.gen_fn = gen_fn
        self.old = old
        self.call = call
        self.arguments = old.arguments if all_unchanged(argdiffs) else gen_fn.arguments(call)
        self.old_length = len(old.elements)
        self.kept = range(min(self.old_length, self.arguments.length))
        self.added = range(self.old_length, self.arguments.length)
        self.dropped = range(self.arguments.length, self.old_length)
        self._changes = Changes(old.arguments, self.arguments, old.versions, argdiffs, len(self.kept))
        self._elements: Elements[Any] = old.elements.truncated(len(self.kept))
        self._traces: dict[int, Trace[Any]] = {}
        self._batches: list[tuple[Sequence[int], Any]] = []
        self._gained: list[Score] = []
        self._lost: list[Score] = []
        self._weights: list[Tensor] = []
        self._diffs: dict[int, Diff] = {}
        self._discards: dict[int, ChoiceMap] = {}
        self._rows: list[tuple[Sequence[int], ChoiceMap]] = []
        """Discards of many elements, with a row for each."""

    @property
    def in_rows(self) -> bool:
        """Whether elements are held in columns."""
        return self.old.elements.is_batched

    def keep(self, groups: Sequence[Group], nothing: Any, room: Room) -> None:
        """Edit the elements that stay: those in groups, and those whose arguments changed.

        Args:
            groups: What is asked of elements.
            nothing: What is asked of the others.
            room: Edits one element.
        """
        # Which of those in groups run as a batch must not depend on hints: their draws would differ.
        for group in groups:
            self._group(group, room)
        indices = self._changes.indices
        if len(indices):
            for group in rest(groups, indices, nothing):
                self._group(group, room)

    def add(self, entered: Entered) -> None:
        """Add elements that were not there."""
        self._weights.append(entered.weight)
        self._gained.append(entered.score)
        self._entered = entered.elements

    def drop(self, lost: Tensor) -> None:
        """Take the elements that do not stay out of the weight, by what is `lost` with them."""
        old = self.old.elements
        self._weights.append(-lost)
        self._lost.append(old.score_of(self.dropped))
        batch = old.batch(self.dropped) if old.is_batched and len(self.dropped) > 1 else None
        if batch is not None:
            self._rows.append((self.dropped, batch.choices))
        else:
            self._discards.update((i, old[i].choices) for i in self.dropped)

    def finish(self) -> Updated[Any]:
        """Return the edited trace."""
        elements = self._elements
        if self._traces:
            elements = elements.replaced(self._traces)
        for indices, batch in self._batches:
            elements = elements.replaced_by(indices, batch)
        if len(self.added):
            elements = elements.joined(self._entered)
        retdiff = self._retdiff()
        retval: Any = self.old.retval if retdiff is UNCHANGED else None
        trace = MapTrace(self.call, elements, self._score(elements), self.arguments, retval)
        weight = total(self._weights or [self.old.score.new_zeros(())])
        return Updated(trace, weight, retdiff, self._discarded())

    def _group(self, group: Group, room: Room) -> None:
        refusal = self._batched(group, room)
        if refusal is not None:
            for index in group.indices:
                self._one(index, group.of(index), room)
            if refusal is not _UNTRIED:
                remember(self.arguments.kernel, refusal)

    def _one(self, index: int, change: Any, room: Room) -> None:
        old = self._elements[index]
        diffs = self._changes.at(index)
        call = old.call
        if diffs is not self._changes.nothing and not all(diff is UNCHANGED for diff in diffs):
            # The very objects of before, where they are unchanged: comparisons go by identity.
            given = self.arguments.values(index, in_rows=self.in_rows)
            call = self.arguments.call_of(_mixed(call.values(), given, diffs))
        trace, weight, retdiff, discard = at_element(self.gen_fn, index, room, old, call, diffs, change)
        self._traces[index] = trace
        self._gained.append(trace.raw_score)
        self._lost.append(old.raw_score)
        self._weights.append(weight)
        if retdiff is not UNCHANGED:
            self._diffs[index] = retdiff
        self._discards[index] = discard

    def _batched(self, group: Group, room: Room) -> Refusal | None:
        """Edit a group as one batch, or return why not."""
        size = len(group.indices)
        if not (self._elements.is_batched and group.can_batch) or refusal_of(self.arguments.kernel, size):
            return _UNTRIED
        diffs = self._changes.of_many()
        stacked = self.arguments.stacked(group.indices)
        old = self._elements.batch(group.indices)
        if stacked is None or old is None:
            return _UNTRIED
        call_of = self.arguments.call_of

        def edit(trace: Trace[Any], change: Any, *values: Any) -> Updated[Any]:
            call = trace.call
            if not all(diff is UNCHANGED for diff in diffs):
                call = call_of(_mixed(call.values(), values, diffs))
            return room(trace, call, diffs, change)

        change = group.of_all
        if group.is_stacked:
            updated = attempt(edit, [0, 0, *stacked.in_dims], size, old, change, *stacked.values)
        else:
            updated = attempt(
                lambda trace, *values: edit(trace, change, *values),
                [0, *stacked.in_dims],
                size,
                old,
                *stacked.values,
            )
        if isinstance(updated, Refusal):
            return updated
        self._record(group.indices, old, updated)
        return None

    def _record(self, indices: Sequence[int], old: Any, updated: Updated[Any]) -> None:
        batch: Any = updated.trace
        refuse_nan(self.gen_fn, batch, indices)
        self._batches.append((indices, batch))
        self._gained.append(wide_sum(batch.score))
        self._lost.append(wide_sum(old.score))
        self._weights.append(wide_sum(updated.weight))
        if updated.retdiff is not UNCHANGED:
            self._diffs.update(dict.fromkeys(indices, UNKNOWN))
        self._rows.append((indices, updated.discard))

    def _discarded(self) -> ChoiceMap:
        if not self._rows:
            return branch(self._discards.items())
        parts = [
            Rows.of(Columns.of(choices, len(keys)), None if keys == range(len(keys)) else keys)
            for keys, choices in self._rows
        ]
        if len(parts) == 1 and not self._discards:
            return parts[0]
        return branch(
            [
                *self._discards.items(),
                *((key, part.child(key)) for part in parts for key in part.child_keys()),
            ]
        )

    def _retdiff(self) -> Diff:
        new, old = self.arguments.length, self.old_length
        if new != old:
            return VectorDiff(new, old, self._diffs)
        if not self._diffs:
            return UNCHANGED
        # All at once is nothing to go by, and long to list.
        return UNKNOWN if len(self._diffs) == new and self._batches else VectorDiff(new, old, self._diffs)

    def _score(self, elements: Elements[Any]) -> Score:
        return edited_score(self.old, elements, self._gained, self._lost)


def edited_score(
    trace: MapTrace[Any], elements: Elements[Any], gained: Sequence[Score], lost: Sequence[Score]
) -> Score:
    """Return the score of edited `elements` from that of the old trace and the scores that changed."""
    score = moved(trace.raw_score, gained, lost)
    return elements.total_score() if score is None else score


_UNTRIED = Refusal("")


def _mixed(before: Sequence[Any], now: Sequence[Any], diffs: ArgDiffs) -> tuple[Any, ...]:
    return tuple(a if diff is UNCHANGED else b for a, b, diff in zip(before, now, diffs, strict=True))
