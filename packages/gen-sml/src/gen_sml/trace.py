"""The trace of a static function: one slot for each visit, and for each value that an edit may need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import ChoiceTrace, Trace, register_trace
from gen_core.choicemap_build import graft
from gen_sml.slots import Slots, in_order

if TYPE_CHECKING:
    from gen_core import Call, ChoiceMap, Path
    from gen_core.totals import Score
    from gen_sml.plan import Plan

R_co = TypeVar("R_co", covariant=True)


@final
class StaticTrace(Trace[R_co]):
    """The record of one run of a static function."""

    __slots__ = ("_choices", "_index", "slots")

    def __init__(
        self,
        call: Call[Any],
        retval: R_co,
        score: Score,
        slots: Slots,
        versions: tuple[int, ...] | None = None,
    ) -> None:
        """Record a run; `versions` are those of the arguments, where they are known."""
        super().__init__(call, retval, score, versions)
        self.slots = slots
        self._choices: ChoiceMap | None = None
        self._index: dict[Path, Trace[Any]] | None = None

    @property
    def plan(self) -> Plan:
        """The plan of the graph that was run."""
        gen_fn: Any = self._call.gen_fn
        plan: Plan = gen_fn.program.plan
        return plan

    def in_order(self) -> Iterator[tuple[Path, Trace[Any]]]:
        """Yield each address and the trace of the choice or callee there, in the order of visits."""
        return in_order(self.slots, self.plan)

    def record(self, path: Path) -> Trace[Any] | None:
        """Return the trace of the choice or callee that was visited at `path` by the function itself."""
        plan = self.plan
        slot = plan.index.get(path)
        if slot is not None:
            return self.slots.records[slot]
        return None if plan.is_fixed else self.index.get(path)

    @property
    def index(self) -> dict[Path, Trace[Any]]:
        """The trace of each choice and callee by address."""
        if self._index is None:
            self._index = dict(self.in_order())
        return self._index

    @property
    def choices(self) -> ChoiceMap:
        """The values of all choices, those of callees below the callee's address."""
        if self._choices is None:
            self._choices = graft((path, record.choices) for path, record in self.in_order())
        return self._choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace at `path`, which may lie within a callee."""
        if not path:
            return self
        for length in range(min(len(path), self.plan.depth), 0, -1):
            record = self.record(path[:length])
            if record is not None:
                return record.find(path[length:])
        return None

    def visited(self, path: Path) -> bool:
        """Return whether a constraint at `path` was used; callees answer for what is below them."""
        for length in range(min(len(path), self.plan.depth), 0, -1):
            record = self.record(path[:length])
            if record is not None:
                return record.visited(path[length:])
        return False

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that were not used; callees answer for their own."""
        left: list[Path] = []
        for key in constraints.child_keys():
            below = constraints.child(key)
            record = self.record((key,))
            if type(record) is ChoiceTrace and below.is_leaf:
                continue
            if record is not None:
                left += [(key, *path) for path in record.unvisited(below)]
            else:
                left += [(key, *path) for path in below.paths() if not self.visited((key, *path))]
        return [()] if constraints.is_leaf else left

    def is_intact(self) -> bool:
        """Return whether no argument, kept value or return value was changed in place since the run."""
        return super().is_intact() and self.slots.is_intact()

    def mark_changed(self) -> None:
        """Note that an argument, a kept value or the return value was changed in place."""
        super().mark_changed()
        self.slots.mark_changed()


register_trace(StaticTrace, lambda t: (t.call, t.retval, t.score, t.slots), StaticTrace)
