"""The trace of a Map: its elements, and the arguments as the kernel got them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import Trace, register_trace

if TYPE_CHECKING:
    from gen_combinators.elements import Elements
    from gen_combinators.map_arguments import Arguments
    from gen_combinators.vector import Vector
    from gen_core import Call, ChoiceMap, Path, TraceBatch
    from gen_core.totals import Score

R_co = TypeVar("R_co", covariant=True)


@final
class MapTrace(Trace[Sequence[R_co]]):
    """The record of `n` runs of a kernel, at the addresses 0, ..., n - 1."""

    __slots__ = ("_arguments", "_elements")

    elements_have_indices = True

    def __init__(
        self,
        call: Call[Any],
        elements: Elements[R_co],
        score: Score,
        arguments: Arguments | None = None,
        retval: Vector[R_co] | None = None,
        versions: tuple[int, ...] | None = None,
    ) -> None:
        """Record the runs.

        Args:
            call: The Map and its arguments.
            elements: The traces of the runs.
            score: The sum of their scores.
            arguments: The arguments, split; made of `call` when they are asked for if None.
            retval: The return value of an earlier trace, if it is still the same.
            versions: The version number of each argument, where they are known.
        """
        super().__init__(call, elements.retvals if retval is None else retval, score, versions)
        self._elements = elements
        self._arguments = arguments

    @property
    def elements(self) -> Elements[R_co]:
        """The traces of the runs."""
        return self._elements

    def independent_elements(self) -> TraceBatch[Any] | None:
        """Return the traces of the runs, None if they have no common structure."""
        return self._elements.batch(range(len(self._elements)))

    @property
    def arguments(self) -> Arguments:
        """The arguments, split."""
        if self._arguments is None:
            gen_fn: Any = self.gen_fn
            self._arguments = gen_fn.arguments(self.call)
        return self._arguments

    @property
    def storage(self) -> str:
        """How the elements are held: in columns or one by one, and in the latter case why."""
        if self._elements.is_batched:
            return f"batched: {len(self._elements)} elements in columns, {self._elements.num_edited} edited"
        gen_fn: Any = self.gen_fn
        return f"one by one: {gen_fn.why_one_by_one(self.arguments)}"

    @property
    def choices(self) -> ChoiceMap:
        """The choices of each element, below its index."""
        return self._elements.choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace at `path`, which may lie within an element."""
        return self._elements.find(path) if path else self

    def visited(self, path: Path) -> bool:
        """Return whether a constraint at `path` was used; elements answer for what is below them."""
        return self._elements.visited(path)

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that were not used; asks only the elements that they name."""
        return self._elements.unvisited(constraints)


register_trace(MapTrace, lambda trace: (trace.call, trace.elements, trace.score), MapTrace)
