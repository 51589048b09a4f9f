"""Regenerate a walk step by step, leaving what does not change."""

from __future__ import annotations

from typing import Any

import torch
from gen_gaussians.walk import Walk, WalkTrace, score_of
from torch import Tensor

from gen_core import NONE, UNCHANGED, UNKNOWN, Call, ChoiceMap, Path, Selection, Trace, Updated, rooms
from gen_core.choicemap_build import graft
from gen_distributions import normal

num_uses = 0
"""How often it was used."""


def regenerate(
    gen_fn: Walk, trace: WalkTrace, call: Call[Any], argdiffs: object, selection: Selection
) -> Updated[Tensor]:
    """Return the regenerated walk; weight = the sum of the steps' weights - project(NONE) of those gone."""
    global num_uses
    num_uses += 1
    num_steps, scale = call.args
    position = torch.zeros(())
    steps: dict[Path, Trace[Tensor]] = {}
    weight = torch.zeros((), dtype=torch.float64)
    discards: list[tuple[Path, ChoiceMap]] = []
    for t in range(num_steps):
        step, old = normal(position, scale), trace.steps.get((t,))
        if old is None:
            steps[(t,)] = rooms.simulate(step)
        else:
            edited = rooms.regenerate(old, step, (UNKNOWN, UNKNOWN), selection.under(t))
            steps[(t,)] = edited.trace
            weight = weight + edited.weight
            discards.append(((t,), edited.discard))
        position = steps[(t,)].retval
    for path, old in trace.steps.items():
        if path not in steps:
            weight = weight - rooms.project(old, NONE)
            discards.append((path, old.choices))
    retdiff = UNCHANGED if position is trace.retval else UNKNOWN
    new = WalkTrace(call, position, score_of(steps), steps)
    return Updated(new, weight, retdiff, graft(discards))
