"""What update and regenerate share: a walk over the steps that a change reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, final

from gen_combinators.unfold_parallel import Moved, move_all
from gen_combinators.unfold_storage import edited
from gen_combinators.unfold_trace import StepwiseTrace
from gen_core import UNCHANGED, UNKNOWN, Updated, total
from gen_core.arguments import all_unchanged
from gen_core.choicemap_build import graft
from gen_core.diff import compare_retvals, retval_version_of
from gen_core.totals import moved

if TYPE_CHECKING:
    from torch import Tensor

    from gen_combinators.elements import Elements
    from gen_combinators.unfold_steps import Stepwise
    from gen_core import ArgDiffs, Call, ChoiceMap, Diff, Generated, Path, Trace
    from gen_core.address import PathPart
    from gen_core.totals import Score

R = TypeVar("R")

EditStep: TypeAlias = "Callable[[Trace[Any], Call[Any], ArgDiffs, Any], Updated[Any]]"


class Asked(NamedTuple):
    """What an edit asks of the steps: constraints or a selection, and the room that does it."""

    keys: Collection[PathPart] | None
    """Keys outside of which nothing is asked; None if anything may be."""
    of: Callable[[int], Any]
    nothing: Any
    """What `of` returns for a step of which nothing is asked."""
    edit: EditStep


@final
class Edit(Generic[R]):
    """The new trace of a stepwise function as it grows out of an old one.

    Steps that nothing reaches are never looked at: their number costs nothing.
    """

    def __init__(
        self, gen_fn: Stepwise[..., R], old: Trace[Any], call: Call[Any], argdiffs: ArgDiffs
    ) -> None:
        """Prepare to move `old` to the arguments of `call`."""
        assert isinstance(old, StepwiseTrace)
        self.gen_fn = gen_fn
        self.old = old
        self.call = call
        self.old_length = len(old.elements)
        self.new_length = gen_fn.length(call)
        self._kept = min(self.old_length, self.new_length)
        self._carry_diff = argdiffs[gen_fn.carry_place]
        self._input_diffs = gen_fn.input_diffs(old, call, argdiffs[1 - gen_fn.carry_place], self._kept)
        self._shared_diffs = argdiffs[2:]
        self._retvals = old.elements.retvals
        self._moved: Moved | None = None
        self._new: dict[int, Trace[Any]] = {}
        self._gone: list[Score] = []
        self._weights: list[Tensor] = []
        self._diffs: dict[int, Diff] = {}
        self._discards: list[tuple[Path, ChoiceMap]] = []

    def keep(self, asked: Asked) -> None:
        """Edit the steps that were there and stay, as far as the change reaches.

        From each step of which something is asked, or whose own argument changed, the walk goes on until a
        step returns what it returned before. Where a parameter changed, every step is edited.
        """
        starts = self._starts(asked)
        step, diff = self._move_all(asked, starts)
        for start in starts:
            if start < step:  # the walk has come by
                continue
            if start > step or diff is UNCHANGED:
                step, diff = start, self._carry_diff if start == 0 else UNCHANGED
            while True:
                diff = self._edit_step(step, diff, asked)
                step += 1
                if diff is UNCHANGED or step >= self._kept:
                    break

    def add(self, enter: Callable[[int, Call[Any]], Generated[Any]]) -> None:
        """Generate the steps that were not there."""
        gen_fn = self.gen_fn
        carry = self._carry_into(self.old_length) if self.new_length > self.old_length else None
        for step in range(self.old_length, self.new_length):
            trace, weight = gen_fn.at(step, enter, step, gen_fn.step_call(self.call, step, carry))
            self._new[step] = trace
            self._weights.append(weight)
            carry = gen_fn.at(step, gen_fn.carry, trace.retval)

    def drop(self, lost: Callable[[Trace[Any]], Tensor]) -> None:
        """Take the steps that do not stay out of the weight, by what is `lost` with each."""
        for step in range(self.new_length, self.old_length):
            old = self.old.elements[step]
            self._weights.append(-lost(old))
            self._replace(step, old, old.choices)

    def finish(self) -> Updated[R]:
        """Return the edited trace."""
        elements = self._elements()
        trace: StepwiseTrace[R] = StepwiseTrace(self.call, elements, self._score(elements))
        weight = total([self.old.score.detach().new_zeros(()), *self._weights])
        retdiff = self.gen_fn.retdiff(self.new_length, self.old_length, self._diffs)
        return Updated(trace, weight, retdiff, graft(self._discards))

    def _starts(self, asked: Asked) -> Collection[int]:
        """Return, in order, the steps that are edited whatever those before them return."""
        kept = range(self._kept)
        if asked.keys is None or not all_unchanged(self._shared_diffs):
            return kept
        starts = {step for step in asked.keys if isinstance(step, int) and step in kept}
        starts.update(self._input_diffs)
        if self._carry_diff is not UNCHANGED and kept:
            starts.add(0)
        return sorted(starts)

    def _move_all(self, asked: Asked, starts: Collection[int]) -> tuple[int, Diff]:
        """Edit steps all at once where that can be done; return where to go on, and what differs there."""
        none_asked = asked.keys is not None and not any(key in range(self._kept) for key in asked.keys)
        begins_as_before = self._carry_diff is UNCHANGED and not self._input_diffs
        if not none_asked or not begins_as_before or len(starts) < self._kept:
            return 0, self._carry_diff
        gen_fn = self.gen_fn
        diffs = (UNCHANGED, UNCHANGED, *self._shared_diffs)

        def edit(old: Trace[Any]) -> Updated[Any]:
            return asked.edit(old, gen_fn.repeated(self.call, old.call), diffs, asked.nothing)

        moved = self._moved = move_all(gen_fn.kernel, self.old.elements, self._kept, edit)
        if moved is None:
            return 0, self._carry_diff
        self._weights.append(moved.weight)
        size = len(moved.traces)
        if not moved.is_last_changed:
            return size, UNCHANGED
        self._diffs[size - 1] = UNKNOWN
        return size, UNKNOWN

    def _edit_step(self, step: int, diff: Diff, asked: Asked) -> Diff:
        """Edit one step whose carried argument differs by `diff`; return how what it carries on does."""
        gen_fn = self.gen_fn
        own = self._input_diffs.get(step, UNCHANGED)
        diffs = (*((own, diff) if gen_fn.carry_place else (diff, own)), *self._shared_diffs)
        change = asked.of(step)
        if change is asked.nothing and all_unchanged(diffs):
            return UNCHANGED
        old = self.old.elements[step]
        if diff is UNCHANGED and step:
            # The very object of before: comparisons in the kernel go by identity.
            carry = old.call.args[gen_fn.carry_place]
        else:
            carry = self._carry_into(step)
        inner = gen_fn.step_call(self.call, step, carry)
        trace, weight, retdiff, discard = gen_fn.at(step, asked.edit, old, inner, diffs, change)
        self._new[step] = trace
        self._weights.append(weight)
        self._replace(step, old, discard)
        if retdiff is UNCHANGED:
            return UNCHANGED
        self._diffs[step] = retdiff
        return gen_fn.at(step, self._carried_diff, old, trace.retval, retdiff)

    def _carried_diff(self, old: Trace[Any], retval: Any, retdiff: Diff) -> Diff:
        before, now = self.gen_fn.carry(old.retval), self.gen_fn.carry(retval)
        if now is retval or not old.is_intact():
            return retdiff
        return compare_retvals(before, now, retval_version_of(before))

    def _carry_into(self, step: int) -> Any:
        if step == 0:
            return self.call.args[self.gen_fn.carry_place]
        before = self._new.get(step - 1)
        if before is not None:
            return self.gen_fn.carry(before.retval)
        if self._moved is not None and step <= len(self._moved.traces):
            return self.gen_fn.carry(self._moved.traces[step - 1].retval)
        return self.gen_fn.carry(self._retvals[step - 1])

    def _replace(self, step: int, old: Trace[Any], discard: ChoiceMap) -> None:
        self._gone.append(old.raw_score)
        if not discard.is_empty:
            self._discards.append(((step,), discard))

    def _elements(self) -> Elements[Any]:
        elements = self.old.elements
        if self.new_length < self.old_length:
            elements = elements.truncated(self.new_length)
        if self._moved is not None:
            elements = elements.replaced_by(range(len(self._moved.traces)), self._moved.traces)
        replaced = {step: trace for step, trace in self._new.items() if step < self._kept}
        return edited(elements, replaced, [self._new[i] for i in range(self._kept, self.new_length)])

    def _score(self, elements: Elements[Any]) -> Score:
        entered, gone = [trace.raw_score for trace in self._new.values()], self._gone
        if self._moved is not None:
            entered, gone = [*entered, self._moved.scores], [*gone, self._moved.old_scores]
        score = moved(self.old.raw_score, entered, gone)
        return elements.total_score() if score is None else score
