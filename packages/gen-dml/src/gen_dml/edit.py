"""What update and regenerate share: a run of the body beside the trace that is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from gen_core import UNCHANGED, ChoiceTrace, Updated
from gen_core.choicemap_build import graft
from gen_core.hints import Hints
from gen_core.ledger import Ledger
from gen_core.scoring import given_value, score_edited
from gen_dml.run import Run
from gen_dml.trace import DynamicTrace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, Call, ChoiceMap, Path, Trace
    from gen_dml.language import DynamicFunction

T = TypeVar("T")


class Edit(Run):
    """A run of the body that keeps what it can of an old trace."""

    def __init__(
        self, gen_fn: DynamicFunction[..., Any], old: DynamicTrace[Any], call: Call[Any], argdiffs: ArgDiffs
    ) -> None:
        """Prepare to move `old` to the arguments of `call`."""
        super().__init__(gen_fn, call)
        self.old = old
        self.ledger = Ledger()
        self.hints = Hints()
        self.discards: list[tuple[Path, ChoiceMap]] = []
        for before, now, diff in zip(old.call.values(), call.values(), argdiffs, strict=False):
            self.hints.carry(before, now, diff)

    def finish(self, retval: Any) -> Updated[Any]:
        """Score what is new, and return the edited trace."""
        old = self.old
        new = score_edited(self.new, self.new_paths, self.gen_fn.name)
        weight, score = self.ledger.settle(old.raw_score, new, len(self.new), self.records.values)
        trace = DynamicTrace(self.call, retval, score, self.records)
        retdiff = self.hints.retdiff(old.retval, retval, old.retval_version)
        return Updated(trace, weight, retdiff, graft(self.discards))

    def keep_choice(self, call: Call[T], path: Path, old: ChoiceTrace[Any]) -> T:
        """Keep the value of an old choice; its density changes if its arguments do."""
        same_distribution = old.gen_fn is call.gen_fn or old.gen_fn == call.gen_fn
        if same_distribution and old.is_of(call):
            self.records[path] = old
            kept: T = old.retval
            return kept
        value: T = given_value(call, old.retval, path)
        self.ledger.gained.append(self.add_choice(call, path, value))
        self.ledger.lost.append(old)
        self.ledger.gone.append(old)
        return value

    def replace(self, old: Trace[Any], path: Path, discard: ChoiceMap) -> None:
        """Note that `old` does not stay, and which of its values are discarded."""
        self.ledger.gone.append(old)
        self.discards.append((path, discard))

    def enter(self, path: Path, trace: Trace[T], weight: Tensor) -> T:
        """Record a callee that was run."""
        self.records[path] = trace
        self.ledger.entered.append(trace)
        self.ledger.weights.append(weight)
        return trace.retval

    def keep_callee(self, path: Path, old: Trace[T]) -> T:
        """Keep a callee that nothing has changed for."""
        self.records[path] = old
        self.hints.carry(old.retval, old.retval, UNCHANGED)
        return old.retval

    def enter_edited(self, path: Path, old: Trace[Any], edited: Updated[T]) -> T:
        """Record a callee that was edited in place of `old`."""
        self.replace(old, path, edited.discard)
        value = self.enter(path, edited.trace, edited.weight)
        self.hints.carry(old.retval, value, edited.retdiff)
        return value

    def vanished(self) -> list[tuple[Path, Trace[Any]]]:
        """Return the choices and callees that the new run did not visit."""
        records = self.records
        return [(path, record) for path, record in self.old.records.items() if path not in records]
