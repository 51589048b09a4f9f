"""Editing a tree: only the kernels that the change reaches are run again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gen_combinators.recurse_queue import NodeQueue
from gen_combinators.recurse_trace import RecurseTrace
from gen_combinators.recurse_tree import (
    AGGREGATION,
    PRODUCTION,
    Node,
    child_of,
    enter,
    parent_of,
    produced,
)
from gen_core import UNCHANGED, UNKNOWN, Call, Updated, VectorDiff, total
from gen_core.arguments import all_unchanged
from gen_core.choicemap_build import graft
from gen_core.diff import compare, is_revisiting, version_of
from gen_core.totals import moved

if TYPE_CHECKING:
    from torch import Tensor

    from gen_combinators.recurse import Recurse
    from gen_core import ArgDiffs, ChoiceMap, Diff, Generated, Path, Trace
    from gen_core.address import PathPart
    from gen_core.totals import Score


class Edit(ABC):
    """One edit of a tree: productions in the order of the nodes' numbers, aggregations in the opposite one.

    A child has a larger number than its parent, so each kernel runs after all that it depends on.
    """

    def __init__(self, gen_fn: Recurse[Any, Any], old: RecurseTrace[Any], call: Call[Any]) -> None:
        """Prepare to move `old` to the arguments of `call`, which have the same root."""
        self.gen_fn = gen_fn
        self.old = old
        self.call = call
        self.inputs = NodeQueue()
        self.results = NodeQueue(descending=True)
        self.productions: dict[int, Trace[Any]] = {}
        self.aggregations: dict[int, Trace[Any]] = {}
        self.produced: dict[int, Diff] = {}
        self.aggregated: dict[int, Diff] = {}
        self.vanished: set[int] = set()
        self.weights: list[Tensor] = []
        self.gone: list[Score] = []
        self.discards: list[tuple[Path, ChoiceMap]] = []

    @abstractmethod
    def touched(self) -> Iterable[PathPart]:
        """Return the nodes at which something is constrained or selected, and maybe others."""

    @abstractmethod
    def touches(self, path: Path) -> bool:
        """Return whether anything of the kernel at `path` is constrained or selected."""

    @abstractmethod
    def edit(self, path: Path, kernel: Trace[Any], call: Call[Any], diffs: ArgDiffs) -> Updated[Any]:
        """Edit a kernel that stays."""

    @abstractmethod
    def add(self, path: Path, call: Call[Any]) -> Generated[Any]:
        """Run a kernel that is new."""

    @abstractmethod
    def leave(self, kernel: Trace[Any]) -> Tensor:
        """Return the weight of dropping a kernel."""

    def run(self, root_diff: Diff) -> Updated[Any]:
        """Run the edit, given how the input of the root differs."""
        self._start(root_diff)
        while self.inputs:
            self._produce(*self.inputs.pop())
        while self.results:
            self._aggregate(self.results.pop()[0])
        return self._finish()

    def _start(self, root_diff: Diff) -> None:
        nodes = self.old.nodes
        # With nothing taken for unchanged, every kernel is run.
        everything = is_revisiting()
        for node in nodes if everything else self.touched():
            if isinstance(node, str) or node not in nodes:
                continue
            record = nodes[node]
            if everything or self.touches((node, PRODUCTION)):
                given = record.production.args[0]
                self.inputs.push(node, (given, _kept(given, record.production.versions[0])))
            if everything or self.touches((node, AGGREGATION)):
                self.results.push(node)
        if root_diff is not UNCHANGED:
            self.inputs.push(self.gen_fn.root_of(self.call), (self.call.args[0], root_diff))

    def _produce(self, node: int, given: tuple[Any, Diff]) -> None:
        value, diff = given
        old = self.old.nodes.get(node)
        call = Call(self.gen_fn.production, (value,))
        kernel = None if old is None else old.production
        self.productions[node], changed = self._visit((node, PRODUCTION), kernel, call, (diff,))
        if changed is UNCHANGED:
            return
        self.produced[node] = changed
        self.results.push(node)
        _, inputs = produced(self.gen_fn, node, self.productions[node])
        for position, each in enumerate(inputs):
            self._pass_on(child_of(node, position, self.gen_fn.max_branch), each)
        for position in range(len(inputs), self.gen_fn.max_branch):
            child = child_of(node, position, self.gen_fn.max_branch)
            if old is None or child not in self.old.nodes:
                break
            self._drop(child)

    def _pass_on(self, child: int, given: Any) -> None:
        """Hand its input to a child, which runs if the input has changed or is the first."""
        old = self.old.nodes.get(child)
        diff = UNKNOWN
        if old is not None:
            diff = compare(old.production.args[0], given, old.production.versions[0])
        if diff is not UNCHANGED or child in self.inputs:
            self.inputs.push(child, (given, diff))

    def _drop(self, top: int) -> None:
        """Drop a node and all that is below it."""
        waiting = [top]
        while waiting:
            node = waiting.pop()
            self.vanished.add(node)
            self.inputs.discard(node)
            self.results.discard(node)
            for part, kernel in self.old.nodes[node].kernels():
                self.weights.append(self.leave(kernel))
                self._replace((node, part), kernel, kernel.choices)
            for position in range(self.gen_fn.max_branch):
                child = child_of(node, position, self.gen_fn.max_branch)
                if child not in self.old.nodes:
                    break
                waiting.append(child)

    def _aggregate(self, node: int) -> None:
        record = self.old.nodes.get(node)
        kernel = None if record is None else record.aggregation
        production = self.productions.get(node) or self.old.nodes[node].production
        value, inputs = production.retval
        first = child_of(node, 0, self.gen_fn.max_branch)
        results = tuple([self._result(child) for child in range(first, first + len(inputs))])
        diffs: ArgDiffs = (UNKNOWN, UNKNOWN)
        if kernel is not None:
            diffs = self._value_diff(node, kernel, value), self._results_diff(first, kernel, len(results))
            if all_unchanged(diffs) and not self.touches((node, AGGREGATION)):
                return
        call = Call(self.gen_fn.aggregation, (value, results))
        self.aggregations[node], changed = self._visit((node, AGGREGATION), kernel, call, diffs)
        self.aggregated[node] = changed
        if changed is not UNCHANGED and node != self.gen_fn.root_of(self.call):
            self.results.push(parent_of(node, self.gen_fn.max_branch))

    def _result(self, node: int) -> Any:
        return (self.aggregations.get(node) or self.old.nodes[node].aggregation).retval

    def _value_diff(self, node: int, kernel: Trace[Any], value: Any) -> Diff:
        if node in self.produced:
            return compare(kernel.args[0], value, kernel.versions[0])
        return _kept(value, kernel.versions[0])

    def _results_diff(self, first: int, kernel: Trace[Any], length: int) -> Diff:
        """Return how the results of the children, the first of which is `first`, differ."""
        old = kernel.args[1]
        if _kept(old, kernel.versions[1]) is UNKNOWN:
            return UNKNOWN
        diffs = {k: self.aggregated.get(first + k, UNCHANGED) for k in range(min(length, len(old)))}
        updated = {k: diff for k, diff in diffs.items() if diff is not UNCHANGED}
        return VectorDiff(length, len(old), updated) if updated or length != len(old) else UNCHANGED

    def _visit(
        self, path: Path, kernel: Trace[Any] | None, call: Call[Any], diffs: ArgDiffs
    ) -> tuple[Trace[Any], Diff]:
        if kernel is None:
            trace, weight = enter(self.gen_fn, path, self.add, path, call)
            self.weights.append(weight)
            return trace, UNKNOWN
        trace, weight, retdiff, discard = enter(self.gen_fn, path, self.edit, path, kernel, call, diffs)
        self.weights.append(weight)
        self._replace(path, kernel, discard)
        return trace, retdiff

    def _replace(self, path: Path, kernel: Trace[Any], discard: ChoiceMap) -> None:
        self.gone.append(kernel.raw_score)
        if not discard.is_empty:
            self.discards.append((path, discard))

    def _finish(self) -> Updated[Any]:
        nodes = self.old.nodes
        for node in self.vanished:
            nodes = nodes.without(node)
        for node in self.productions.keys() | self.aggregations.keys():
            record = self.old.nodes.get(node)
            production = self.productions.get(node) or record.production  # type: ignore[union-attr]
            aggregation = self.aggregations.get(node) or record.aggregation  # type: ignore[union-attr]
            nodes = nodes.with_item(node, Node(production, aggregation))
        root = self.gen_fn.root_of(self.call)
        retval = nodes[root].aggregation.retval
        trace = RecurseTrace(self.call, retval, self._score(nodes.values()), nodes)
        retdiff = self.aggregated.get(root, UNCHANGED)
        return Updated(trace, total(self.weights), retdiff, graft(self.discards))

    def _score(self, nodes: Iterable[Node]) -> Score:
        entered = [trace.raw_score for trace in (*self.productions.values(), *self.aggregations.values())]
        score = moved(self.old.raw_score, entered, self.gone)
        if score is None:
            return total(kernel.score for node in nodes for _, kernel in node.kernels())
        return score


def tree_of(trace: Trace[Any]) -> RecurseTrace[Any]:
    """Return a trace of Recurse as what it is."""
    assert isinstance(trace, RecurseTrace)
    return trace


def _kept(value: object, version: int) -> Diff:
    """Return how a value differs that nobody has replaced: a tensor in it may have changed in place."""
    return UNKNOWN if is_revisiting() or version_of(value) != version else UNCHANGED
