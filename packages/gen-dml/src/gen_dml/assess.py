"""assess: run the body with every choice given; nothing is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import MissingChoiceError, rooms
from gen_core.scoring import given_value
from gen_core.totals import total
from gen_dml.run import Run
from gen_dml.trace import DynamicTrace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import Call, ChoiceMap, Path
    from gen_dml.language import DynamicFunction

T = TypeVar("T")


def assess(gen_fn: DynamicFunction[..., Any], call: Call[Any], choices: ChoiceMap) -> DynamicTrace[Any]:
    """Return the trace of exactly these choices. Raises MissingChoiceError where one is not given."""
    run = _Assess(gen_fn, call, choices)
    retval = run.execute()
    return DynamicTrace(call, retval, total([run.score_new(), *run.scores]), run.records)


@final
class _Assess(Run):
    def __init__(self, gen_fn: DynamicFunction[..., Any], call: Call[Any], choices: ChoiceMap) -> None:
        super().__init__(gen_fn, call)
        self.choices = choices
        self.scores: list[Tensor] = []

    def visit_choice(self, call: Call[T], path: Path) -> T:
        given = self.choices.submap(path)
        if not given.is_leaf:
            raise MissingChoiceError(self.gen_fn.name, path, self.choices.paths())
        value: T = given_value(call, given.value, path)
        self.add_choice(call, path, value)
        return value

    def visit_callee(self, call: Call[T], path: Path) -> T:
        trace = rooms.assess(call, self.choices.submap(path))
        self.records[path] = trace
        self.scores.append(trace.score)
        return trace.retval
