"""assess: run the generated code with every choice given; nothing is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from gen_core import MissingChoiceError, rooms
from gen_core.scoring import given_value
from gen_core.totals import total
from gen_sml.run import Run
from gen_sml.trace import StaticTrace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import Call, ChoiceMap, ChoiceTrace, Path, Trace
    from gen_sml.language import StaticFunction


def assess(gen_fn: StaticFunction[..., Any], call: Call[Any], choices: ChoiceMap) -> StaticTrace[Any]:
    """Return the trace of exactly these choices. Raises MissingChoiceError where one is not given."""
    run = _Assess(gen_fn, call, choices)
    retval = run.execute()
    return StaticTrace(call, retval, total([run.score_new(), *run.scores]), run.slots())


@final
class _Assess(Run):
    operation = "assess"

    def __init__(self, gen_fn: StaticFunction[..., Any], call: Call[Any], choices: ChoiceMap) -> None:
        super().__init__(gen_fn, call)
        self.choices = choices
        self.scores: list[Tensor] = []

    def choice(self, call: Call[Any], path: Path) -> ChoiceTrace[Any]:
        given = self.choices.submap(path)
        if not given.is_leaf:
            raise MissingChoiceError(self.gen_fn.name, path, self.choices.paths())
        return self.made(call, path, given_value(call, given.value, path))

    def callee(self, call: Call[Any], path: Path) -> Trace[Any]:
        trace = rooms.assess(call, self.choices.submap(path))
        self.scores.append(trace.score)
        return trace
