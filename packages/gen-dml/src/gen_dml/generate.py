"""generate: run the body with some choices given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import Generated, rooms
from gen_core.choicemap import EMPTY
from gen_core.scoring import given_value, sum_scores
from gen_core.totals import total
from gen_dml.run import Run
from gen_dml.trace import DynamicTrace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import Call, ChoiceMap, ChoiceTrace, Path
    from gen_dml.language import DynamicFunction

T = TypeVar("T")


def generate(gen_fn: DynamicFunction[..., Any], call: Call[Any], constraints: ChoiceMap) -> Generated[Any]:
    """Return a trace that agrees with the constraints, and its weight.

    weight = sum of log densities of the constrained choices + sum of the generate weights of callees
    """
    run = _Generate(gen_fn, call, constraints)
    retval = run.execute()
    scores = run.score_new()
    constrained = scores if len(run.constrained) == len(run.new) else sum_scores(run.constrained)
    trace = DynamicTrace(call, retval, total([scores, *run.scores]), run.records)
    return Generated(trace, total([constrained, *run.weights]))


@final
class _Generate(Run):
    def __init__(self, gen_fn: DynamicFunction[..., Any], call: Call[Any], constraints: ChoiceMap) -> None:
        super().__init__(gen_fn, call)
        self.constraints = constraints
        self.constrained: list[ChoiceTrace[Any]] = []
        self.scores: list[Tensor] = []
        self.weights: list[Tensor] = []

    def visit_choice(self, call: Call[T], path: Path) -> T:
        given = self.constraints.submap(path)
        if given is EMPTY or not given.is_leaf:
            return self.draw_choice(call, path)
        value: T = given_value(call, given.value, path)
        self.constrained.append(self.add_choice(call, path, value))
        return value

    def visit_callee(self, call: Call[T], path: Path) -> T:
        trace, weight = rooms.generate(call, self.constraints.submap(path))
        self.records[path] = trace
        self.scores.append(trace.score)
        self.weights.append(weight)
        return trace.retval
