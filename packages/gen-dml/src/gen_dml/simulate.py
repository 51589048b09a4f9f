"""simulate: run the body, drawing every choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import rooms, total
from gen_dml.run import Run
from gen_dml.trace import DynamicTrace

if TYPE_CHECKING:
    from gen_core import Call, Path
    from gen_dml.language import DynamicFunction

T = TypeVar("T")


def simulate(gen_fn: DynamicFunction[..., Any], call: Call[Any]) -> DynamicTrace[Any]:
    """Return a trace with every choice drawn from the prior."""
    run = _Simulate(gen_fn, call)
    retval = run.execute()
    score = total([run.score_new(), *(trace.score for trace in run.callees)])
    return DynamicTrace(call, retval, score, run.records)


@final
class _Simulate(Run):
    def __init__(self, gen_fn: DynamicFunction[..., Any], call: Call[Any]) -> None:
        super().__init__(gen_fn, call)
        self.callees: list[Any] = []

    def visit_choice(self, call: Call[T], path: Path) -> T:
        return self.draw_choice(call, path)

    def visit_callee(self, call: Call[T], path: Path) -> T:
        trace = rooms.simulate(call)
        self.records[path] = trace
        self.callees.append(trace)
        return trace.retval
