"""Gaussian random walks: a generative function of a class of its own, with as few rooms as there can be."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from gen_core import (
    Call,
    ChoiceMap,
    Generated,
    GenerativeFunction,
    Path,
    Records,
    Selection,
    Trace,
    register_trace,
    rooms,
)
from gen_core.choicemap_build import graft
from gen_distributions import normal


@final
class WalkTrace(Trace[Tensor]):
    """The position at each step, at the address of its number."""

    def __init__(
        self, call: Call[Any], retval: Tensor, score: Tensor, steps: Mapping[Path, Trace[Tensor]]
    ) -> None:
        """Record a walk."""
        super().__init__(call, retval, score)
        self.steps = steps

    @property
    def choices(self) -> ChoiceMap:
        """The positions."""
        return graft((path, step.choices) for path, step in self.steps.items())

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace of one step."""
        step = self.steps.get(path[:1])
        return self if not path else step and step.find(path[1:])


register_trace(WalkTrace, lambda t: (t.call, t.retval, t.score, Records(t.steps)), WalkTrace)


class Walk(GenerativeFunction[[int, float], Tensor]):
    """`walk(num_steps, scale)` steps from 0; the choice at `t` is the position after t + 1 steps."""

    def __init__(self) -> None:
        """Make a walk."""
        super().__init__("walk", inspect.signature(_walk))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Tensor]:
        """Draw each position around the one before."""
        num_steps, scale = call.args
        position = torch.zeros(())
        steps: dict[Path, Trace[Tensor]] = {}
        weights = [torch.zeros((), dtype=torch.float64)]
        for t in range(num_steps):
            step, weight = rooms.generate(normal(position, scale), constraints.submap(t))
            steps[(t,)] = step
            weights.append(weight)
            position = step.retval
        return Generated(WalkTrace(call, position, score_of(steps), steps), torch.stack(weights).sum())

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum over the selected steps."""
        zero = torch.zeros((), dtype=torch.float64)
        steps = {} if not isinstance(trace, WalkTrace) else trace.steps
        return zero + sum(rooms.project(step, selection.under(path)) for path, step in steps.items())


def score_of(steps: Mapping[Path, Trace[Tensor]]) -> Tensor:
    """Return the sum of the steps' scores, float64."""
    zero = torch.zeros((), dtype=torch.float64)
    return zero + sum(step.score for step in steps.values())


def _walk(num_steps: int, scale: float) -> Tensor:
    raise NotImplementedError


walk = Walk()
