"""The trace of a dynamic function: one subtrace for each address that was visited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import ChoiceTrace, Records, Trace, register_trace
from gen_core.choicemap import Leaf
from gen_core.choicemap_build import graft

if TYPE_CHECKING:
    from gen_core import Call, ChoiceMap, Path
    from gen_core.totals import Score

R_co = TypeVar("R_co", covariant=True)


@final
class DynamicTrace(Trace[R_co]):
    """The record of one run of a dynamic function."""

    __slots__ = ("_choices", "_records")

    def __init__(
        self, call: Call[Any], retval: R_co, score: Score, records: Mapping[Path, Trace[Any]]
    ) -> None:
        """Record a run; `records` holds the trace of each choice and callee, in the order of visits."""
        super().__init__(call, retval, score)
        self._records = records
        self._choices: ChoiceMap | None = None

    @property
    def records(self) -> Mapping[Path, Trace[Any]]:
        """The trace of each choice and callee, by address, in the order of visits."""
        return self._records

    @property
    def choices(self) -> ChoiceMap:
        """The values of all choices, those of callees below the callee's address."""
        if self._choices is None:
            self._choices = graft((path, record.choices) for path, record in self._records.items())
        return self._choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace at `path`, which may lie within a callee."""
        if not path:
            return self
        for length in range(len(path), 0, -1):
            record = self._records.get(path[:length])
            if record is not None:
                return record.find(path[length:])
        return None

    def visited(self, path: Path) -> bool:
        """Return whether a constraint at `path` was used; callees answer for what is below them."""
        for length in range(len(path), 0, -1):
            record = self._records.get(path[:length])
            if record is not None:
                return record.visited(path[length:])
        return False

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that were not used; callees answer for their own."""
        left: list[Path] = []
        for key in constraints.child_keys():
            below = constraints.child(key)
            record = self._records.get((key,))
            if type(record) is ChoiceTrace and type(below) is Leaf:
                continue
            if record is not None:
                left += [(key, *path) for path in record.unvisited(below)]
            else:
                left += [(key, *path) for path in below.paths() if not self.visited((key, *path))]
        return [()] if constraints.is_leaf else left


register_trace(DynamicTrace, lambda t: (t.call, t.retval, t.score, Records(t.records)), DynamicTrace)
