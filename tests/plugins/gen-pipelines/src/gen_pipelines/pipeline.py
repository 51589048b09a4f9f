"""Pipelines: each generative function takes what the one before returns."""

from __future__ import annotations

from typing import Any, ParamSpec, final

from torch import Tensor

from gen_core import (
    Call,
    ChoiceMap,
    Generated,
    GenerativeFunction,
    Path,
    Selection,
    Trace,
    register_trace,
    rooms,
    total,
)
from gen_core.choicemap_build import graft

P = ParamSpec("P")


def pipeline(
    first: GenerativeFunction[P, Any], *others: GenerativeFunction[[Any], Any]
) -> GenerativeFunction[P, Any]:
    """Return the generative function that runs `first`, and then each of the others on the last value.

    The choices of stage k are below the address k.
    """
    return Pipeline(first, *others)


@final
class Pipeline(GenerativeFunction[P, Any]):
    """Stages in a row; equal if the stages are. What is not here is derived from what is."""

    def __init__(self, first: GenerativeFunction[P, Any], *others: GenerativeFunction[[Any], Any]) -> None:
        """Make a pipeline with the parameters of its first stage."""
        self.stages: tuple[GenerativeFunction[..., Any], ...] = (first, *others)
        super().__init__(f"pipeline({', '.join(stage.name for stage in self.stages)})", first.signature)

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Any]:
        """Generate each stage; weight = the sum of their weights."""
        traces: list[Trace[Any]] = []
        weights: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            args, kwargs = ((traces[-1].retval,), {}) if traces else (call.args, call.kwargs)
            trace, weight = rooms.generate(Call(stage, args, kwargs), constraints.child(number))
            traces.append(trace)
            weights.append(weight)
        return Generated(PipelineTrace(call, traces), total(weights))

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum over the stages."""
        assert isinstance(trace, PipelineTrace)
        return total(rooms.project(stage, selection.child(n)) for n, stage in enumerate(trace.stages))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.stages == other.stages

    def __hash__(self) -> int:
        return hash(self.stages)


@final
class PipelineTrace(Trace[Any]):
    """The traces of the stages, in their order."""

    def __init__(self, call: Call[Any], stages: list[Trace[Any]]) -> None:
        """Record one run of each stage."""
        super().__init__(call, stages[-1].retval, total(stage.score for stage in stages))
        self.stages = stages

    @property
    def choices(self) -> ChoiceMap:
        """The choices of each stage below its number."""
        return graft(((number,), stage.choices) for number, stage in enumerate(self.stages))

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace of a stage, or what it has at the rest of the path."""
        if not path:
            return self
        number = path[0]
        is_stage = isinstance(number, int) and 0 <= number < len(self.stages)
        return self.stages[int(number)].find(path[1:]) if is_stage else None


register_trace(PipelineTrace, lambda trace: (trace.call, trace.stages), PipelineTrace)
