"""The trace of a function that runs step after step: one element a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_combinators.unfold_storage import LONG
from gen_core import Trace, register_trace

if TYPE_CHECKING:
    from gen_combinators.elements import Elements
    from gen_core import Call, ChoiceMap, Path
    from gen_core.totals import Score

R_co = TypeVar("R_co", covariant=True)


@final
class StepwiseTrace(Trace[R_co]):
    """The record of `n` steps, at the addresses 0, ..., n - 1."""

    __slots__ = ("_elements",)

    def __init__(self, call: Call[Any], elements: Elements[Any], score: Score) -> None:
        """Record a run; `elements` holds the trace of each step."""
        gen_fn: Any = call.gen_fn
        super().__init__(call, gen_fn.result(call, elements.retvals), score)
        self._elements = elements

    @property
    def elements(self) -> Elements[Any]:
        """The traces of the steps."""
        return self._elements

    @property
    def storage(self) -> str:
        """How the steps are held: in columns or one by one, and in the latter case why."""
        elements = self._elements
        if elements.is_batched:
            return f"batched: {len(elements)} steps in columns, {elements.num_edited} edited"
        few = len(elements) < LONG
        why = (
            f"there are fewer than {LONG} steps"
            if few
            else "the steps differ in structure, or were run in a batch or for gradients"
        )
        return f"one by one: {why}"

    @property
    def choices(self) -> ChoiceMap:
        """The choices of each step, below its number."""
        return self._elements.choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace at `path`, which may lie within a step."""
        return self._elements.find(path) if path else self

    def visited(self, path: Path) -> bool:
        """Return whether a constraint at `path` was used; steps answer for what is below them."""
        return self._elements.visited(path)

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that were not used; asks only the steps that they name."""
        return self._elements.unvisited(constraints)


register_trace(StepwiseTrace, lambda trace: (trace.call, trace.elements, trace.score), StepwiseTrace)
