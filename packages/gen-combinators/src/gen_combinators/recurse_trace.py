"""The trace of Recurse: the traces of both kernels at every node, in a persistent map."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from gen_combinators.persistent_map import PersistentMap
from gen_combinators.recurse_tree import AGGREGATION, PRODUCTION, Node
from gen_core import EMPTY, ChoiceMap, NoChoiceError, Records, Trace, register_choices, register_trace
from gen_core.choicemap import branch

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import Call, Path
    from gen_core.address import PathPart
    from gen_core.totals import Score

W_co = TypeVar("W_co", covariant=True)


@final
class RecurseTrace(Trace[W_co]):
    """The record of a tree; an edit shares the nodes that it leaves alone."""

    __slots__ = ("_nodes",)

    def __init__(self, call: Call[Any], retval: W_co, score: Score, nodes: PersistentMap[int, Node]) -> None:
        """Record a tree by the numbers of its nodes."""
        super().__init__(call, retval, score)
        self._nodes = nodes

    @property
    def nodes(self) -> PersistentMap[int, Node]:
        """The traces of the kernels by node, in no order."""
        return self._nodes

    @property
    def choices(self) -> ChoiceMap:
        """The choices of both kernels at each node, in the order of the nodes' numbers."""
        return TreeChoices(self._nodes)

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace of a kernel, or what it has at the rest of the path."""
        if not path:
            return self
        kernel = self._kernel(path)
        return kernel and kernel.find(path[2:])

    def visited(self, path: Path) -> bool:
        """Return whether a constraint at `path` was used; kernels answer for what is below them."""
        kernel = self._kernel(path)
        return kernel is not None and kernel.visited(path[2:])

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that were not used; kernels answer for their own."""
        if constraints.is_leaf:
            return [()]
        left: list[Path] = []
        for key in constraints.child_keys():
            below = constraints.child(key)
            for part in below.child_keys():
                kernel, given = self._kernel((key, part)), below.child(part)
                paths = given.paths() if kernel is None else kernel.unvisited(given)
                left += [(key, part, *path) for path in paths]
            left += [(key,)] if below.is_leaf else []
        return left

    def _kernel(self, path: Path) -> Trace[Any] | None:
        node = self._nodes.get(path[0]) if len(path) > 1 and type(path[0]) is int else None
        if node is None:
            return None
        return {PRODUCTION: node.production, AGGREGATION: node.aggregation}.get(str(path[1]))


@final
class TreeChoices(ChoiceMap):
    """A view of the choices of a tree."""

    __slots__ = ("_nodes",)

    is_leaf: Final = False

    def __init__(self, nodes: PersistentMap[int, Node]) -> None:
        """View the choices of these nodes."""
        self._nodes = nodes

    def child(self, key: PathPart, /) -> ChoiceMap:
        node = self._nodes.get(key) if type(key) is int else None
        if node is None:
            return EMPTY
        return branch((part, trace.choices) for part, trace in node.kernels())

    def child_keys(self) -> Collection[PathPart]:
        return sorted(self._nodes)

    @property
    def value(self) -> Any:
        raise NoChoiceError((), self.paths())


def _parts(trace: RecurseTrace[Any]) -> tuple[object, ...]:
    # In the order of their numbers: how the trie came about is history.
    records: dict[Path, Trace[Any]] = {}
    for number, node in sorted(trace.nodes.items()):
        records.update({(number, part): kernel for part, kernel in node.kernels()})
    return trace.call, trace.retval, trace.score, Records(records)


def _make(
    call: Call[Any], retval: Any, score: Tensor, records: Mapping[tuple[int, str], Trace[Any]]
) -> RecurseTrace[Any]:
    numbers = [number for number, part in records if part == PRODUCTION]
    nodes = ((n, Node(records[n, PRODUCTION], records[n, AGGREGATION])) for n in numbers)
    return RecurseTrace(call, retval, score, PersistentMap(nodes))


register_trace(RecurseTrace, _parts, _make)
register_choices(TreeChoices)
