"""What update and regenerate share: a run of the body beside the trace that is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

from gen_core import UNCHANGED, UNKNOWN, ChoiceTrace, Updated
from gen_core.arguments import compare_arguments
from gen_core.choicemap_build import graft
from gen_core.diff import compare_retvals, is_comparing_plainly, is_same, version_of
from gen_core.readable import values_are_readable
from gen_core.scoring import given_value, sum_scores
from gen_core.totals import total
from gen_dml.run import Run
from gen_dml.trace import DynamicTrace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, Call, ChoiceMap, Diff, Path, Trace
    from gen_dml.language import DynamicFunction

T = TypeVar("T")


class Edit(Run):
    """A run of the body that keeps what it can of an old trace.

    What the edit does to the log density is collected by address, and summed once at the end: choices
    whose new density counts in the weight (`gained`) or whose old one does (`lost`), everything of the
    old trace that is not in the new one (`gone`), and the weights and scores of callees.
    """

    def __init__(
        self, gen_fn: DynamicFunction[..., Any], old: DynamicTrace[Any], call: Call[Any], argdiffs: ArgDiffs
    ) -> None:
        """Prepare to move `old` to the arguments of `call`."""
        super().__init__(gen_fn, call)
        self.old = old
        self.gained: list[ChoiceTrace[Any]] = []
        self.lost: list[ChoiceTrace[Any]] = []
        self.gone: list[Trace[Any]] = []
        self.weights: list[Tensor] = []
        self.entered: list[Trace[Any]] = []
        self.discards: list[tuple[Path, ChoiceMap]] = []
        self._carried: dict[int, _Carried] = {}
        for before, now, diff in zip(old.call.values(), call.values(), argdiffs, strict=False):
            self._carry(before, now, diff)

    def finish(self, retval: Any) -> Updated[Any]:
        """Score what is new, and return the edited trace."""
        new = self.score_new()
        gained = new if len(self.gained) == len(self.new) else sum_scores(self.gained)
        weight = total([gained - sum_scores(self.lost), *self.weights])
        trace = DynamicTrace(self.call, retval, self._new_score(new), self.records)
        return Updated(trace, weight, self._retdiff(retval), graft(self.discards))

    def keep_choice(self, call: Call[T], path: Path, old: ChoiceTrace[Any]) -> T:
        """Keep the value of an old choice; its density changes if its arguments do."""
        same_distribution = old.gen_fn is call.gen_fn or old.gen_fn == call.gen_fn
        if same_distribution and old.is_of(call):
            self.records[path] = old
            kept: T = old.retval
            return kept
        value: T = given_value(call, old.retval, path)
        self.gained.append(self.add_choice(call, path, value))
        self.lost.append(old)
        self.gone.append(old)
        return value

    def replace(self, old: Trace[Any], path: Path, discard: ChoiceMap) -> None:
        """Note that `old` does not stay, and which of its values are discarded."""
        self.gone.append(old)
        if not discard.is_empty:
            self.discards.append((path, discard))

    def enter(self, path: Path, trace: Trace[T], weight: Tensor) -> T:
        """Record a callee that was run."""
        self.records[path] = trace
        self.entered.append(trace)
        self.weights.append(weight)
        return trace.retval

    def keep_callee(self, path: Path, old: Trace[T]) -> T:
        """Keep a callee that nothing has changed for."""
        self.records[path] = old
        self._carry(old.retval, old.retval, UNCHANGED)
        return old.retval

    def enter_edited(self, path: Path, old: Trace[Any], edited: Updated[T]) -> T:
        """Record a callee that was edited in place of `old`."""
        self.replace(old, path, edited.discard)
        value = self.enter(path, edited.trace, edited.weight)
        self._carry(old.retval, value, edited.retdiff)
        return value

    def argdiffs(self, old: Trace[Any], call: Call[Any]) -> ArgDiffs:
        """Return how a callee's arguments changed, with the hints that values carry along."""
        before, now = old.call.values(), call.values()
        diffs = compare_arguments(before, now, old.versions)
        if not self._carried or len(before) != len(now):
            return diffs
        return tuple(
            diff if diff is UNCHANGED else self._hint(a, b)
            for a, b, diff in zip(before, now, diffs, strict=True)
        )

    def vanished(self) -> list[tuple[Path, Trace[Any]]]:
        """Return the choices and callees that the new run did not visit."""
        records = self.records
        return [(path, record) for path, record in self.old.records.items() if path not in records]

    def _new_score(self, new: Tensor) -> Tensor:
        # In float64 the difference does not drift; from or to an impossible trace it has no meaning.
        old = self.old.score.detach()
        if values_are_readable() and bool(torch.isfinite(old)):
            choices = [record for record in self.gone if type(record) is ChoiceTrace]
            callees = [-record.score for record in self.gone if type(record) is not ChoiceTrace]
            kept = old - sum_scores(choices)
            return total([kept + new, *callees, *(trace.score for trace in self.entered)])
        every = self.records.values()
        choices = [record for record in every if type(record) is ChoiceTrace]
        return total([sum_scores(choices), *(r.score for r in every if type(r) is not ChoiceTrace)])

    def _retdiff(self, retval: object) -> Diff:
        old = self.old
        diff = compare_retvals(old.retval, retval, old.retval_version)
        return diff if diff is UNCHANGED else self._hint(old.retval, retval)

    def _carry(self, before: object, now: object, diff: Diff) -> None:
        """Remember how `now` differs from `before`, for callees that it is passed on to."""
        is_scalar = now is None or isinstance(now, int | float | str)
        if diff is not UNKNOWN and not is_scalar and is_comparing_plainly():
            self._carried[id(now)] = _Carried(before, now, version_of(now), diff)

    def _hint(self, before: object, now: object) -> Diff:
        carried = self._carried.get(id(now))
        if carried is None or not (carried.before is before or is_same(carried.before, before)):
            return UNKNOWN
        return carried.diff if version_of(now) == carried.version else UNKNOWN


class _Carried:
    """How a value differs from the one that stood in its place; holds the value, so its id stays its own."""

    __slots__ = ("before", "diff", "now", "version")

    def __init__(self, before: object, now: object, version: int, diff: Diff) -> None:
        self.before = before
        self.now = now
        self.version = version
        self.diff = diff
