"""generate: run the generated code with some choices given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from gen_core import Generated, rooms
from gen_core.choicemap import EMPTY
from gen_core.scoring import given_value, sum_scores
from gen_core.totals import total
from gen_sml.run import Run
from gen_sml.trace import StaticTrace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import Call, ChoiceMap, ChoiceTrace, Path, Trace
    from gen_sml.language import StaticFunction


def generate(gen_fn: StaticFunction[..., Any], call: Call[Any], constraints: ChoiceMap) -> Generated[Any]:
    """Return a trace that agrees with the constraints, and its weight.

    weight = sum of log densities of the constrained choices + sum of the generate weights of callees
    """
    run = _Generate(gen_fn, call, constraints)
    retval = run.execute()
    scores = run.score_new()
    constrained = scores if len(run.constrained) == len(run.new) else sum_scores(run.constrained)
    trace = StaticTrace(call, retval, total([scores, *run.scores]), run.slots())
    return Generated(trace, total([constrained, *run.weights]))


@final
class _Generate(Run):
    operation = "generate"

    def __init__(self, gen_fn: StaticFunction[..., Any], call: Call[Any], constraints: ChoiceMap) -> None:
        super().__init__(gen_fn, call)
        self.constraints = constraints
        self.constrained: list[ChoiceTrace[Any]] = []
        self.scores: list[Tensor] = []
        self.weights: list[Tensor] = []

    def choice(self, call: Call[Any], path: Path) -> ChoiceTrace[Any]:
        given = self.constraints.submap(path)
        if given is EMPTY or not given.is_leaf:
            return self.drawn(call, path)
        choice = self.made(call, path, given_value(call, given.value, path))
        self.constrained.append(choice)
        return choice

    def callee(self, call: Call[Any], path: Path) -> Trace[Any]:
        trace, weight = rooms.generate(call, self.constraints.submap(path))
        self.scores.append(trace.score)
        self.weights.append(weight)
        return trace
