"""Growing a tree from nothing: productions level by level, then aggregations from the leaves up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, final

from gen_combinators.persistent_map import PersistentMap
from gen_combinators.recurse_trace import RecurseTrace
from gen_combinators.recurse_tree import AGGREGATION, PRODUCTION, Node, child_of, enter, produced
from gen_core import Call, Generated, rooms, total

if TYPE_CHECKING:
    from torch import Tensor

    from gen_combinators.recurse import Recurse
    from gen_core import ChoiceMap, Path, Trace


class Growth(ABC):
    """One run of a tree: an operation says how a kernel is run.

    There is no recursion: a tree may be deeper than Python's stack.
    """

    def __init__(self, gen_fn: Recurse[Any, Any], call: Call[Any]) -> None:
        """Prepare a run on the arguments of `call`."""
        self.gen_fn = gen_fn
        self.call = call
        self.productions: dict[int, Trace[Any]] = {}
        self.aggregations: dict[int, Trace[Any]] = {}
        self.children: dict[int, range] = {}

    @abstractmethod
    def visit(self, path: Path, call: Call[Any]) -> Trace[Any]:
        """Return the trace of a kernel at `path`."""

    def grow(self) -> RecurseTrace[Any]:
        """Run all kernels, and return the trace."""
        root, values = self.gen_fn.root_of(self.call), dict[int, Any]()
        waiting = deque([(root, self.call.args[0])])
        while waiting:
            node, given = waiting.popleft()
            trace = self._enter((node, PRODUCTION), Call(self.gen_fn.production, (given,)))
            self.productions[node] = trace
            values[node], inputs = produced(self.gen_fn, node, trace)
            first = child_of(node, 0, self.gen_fn.max_branch)
            self.children[node] = range(first, first + len(inputs))
            waiting.extend(zip(self.children[node], inputs, strict=True))
        for node in reversed(self.productions):
            results = tuple([self.aggregations[child].retval for child in self.children[node]])
            call = Call(self.gen_fn.aggregation, (values[node], results))
            self.aggregations[node] = self._enter((node, AGGREGATION), call)
        return self._trace(root)

    def _enter(self, path: Path, call: Call[Any]) -> Trace[Any]:
        return enter(self.gen_fn, path, self.visit, path, call)

    def _trace(self, root: int) -> RecurseTrace[Any]:
        traces = [*self.productions.values(), *self.aggregations.values()]
        score = total([trace.score for trace in traces])
        nodes = ((n, Node(trace, self.aggregations[n])) for n, trace in self.productions.items())
        return RecurseTrace(self.call, self.aggregations[root].retval, score, PersistentMap(nodes))


def simulate(gen_fn: Recurse[Any, Any], call: Call[Any]) -> RecurseTrace[Any]:
    """Return a tree with every choice drawn."""
    return _Simulate(gen_fn, call).grow()


def generate(gen_fn: Recurse[Any, Any], call: Call[Any], constraints: ChoiceMap) -> Generated[Any]:
    """Return a tree that agrees with the constraints; weight = the sum of the kernels' weights."""
    growth = _Generate(gen_fn, call, constraints)
    trace = growth.grow()
    return Generated(trace, total(growth.weights))


def assess(gen_fn: Recurse[Any, Any], call: Call[Any], choices: ChoiceMap) -> RecurseTrace[Any]:
    """Return the tree of exactly these choices."""
    return _Assess(gen_fn, call, choices).grow()


@final
class _Simulate(Growth):
    def visit(self, path: Path, call: Call[Any]) -> Trace[Any]:
        return rooms.simulate(call)


@final
class _Generate(Growth):
    def __init__(self, gen_fn: Recurse[Any, Any], call: Call[Any], constraints: ChoiceMap) -> None:
        super().__init__(gen_fn, call)
        self.constraints = constraints
        self.weights: list[Tensor] = []

    def visit(self, path: Path, call: Call[Any]) -> Trace[Any]:
        trace, weight = rooms.generate(call, self.constraints.submap(path))
        self.weights.append(weight)
        return trace


@final
class _Assess(Growth):
    def __init__(self, gen_fn: Recurse[Any, Any], call: Call[Any], choices: ChoiceMap) -> None:
        super().__init__(gen_fn, call)
        self.choices = choices

    def visit(self, path: Path, call: Call[Any]) -> Trace[Any]:
        return rooms.assess(call, self.choices.submap(path))
