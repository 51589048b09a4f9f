"""simulate: run the generated code, drawing every choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from gen_core import rooms, total
from gen_sml.run import Run
from gen_sml.trace import StaticTrace

if TYPE_CHECKING:
    from gen_core import Call, ChoiceTrace, Path, Trace
    from gen_sml.language import StaticFunction


def simulate(gen_fn: StaticFunction[..., Any], call: Call[Any]) -> StaticTrace[Any]:
    """Return a trace with every choice drawn from the prior."""
    run = _Simulate(gen_fn, call)
    retval = run.execute()
    score = total([run.score_new(), *(trace.score for trace in run.callees)])
    return StaticTrace(call, retval, score, run.slots())


@final
class _Simulate(Run):
    operation = "simulate"

    def __init__(self, gen_fn: StaticFunction[..., Any], call: Call[Any]) -> None:
        super().__init__(gen_fn, call)
        self.callees: list[Trace[Any]] = []

    def choice(self, call: Call[Any], path: Path) -> ChoiceTrace[Any]:
        return self.drawn(call, path)

    def callee(self, call: Call[Any], path: Path) -> Trace[Any]:
        trace = rooms.simulate(call)
        self.callees.append(trace)
        return trace
