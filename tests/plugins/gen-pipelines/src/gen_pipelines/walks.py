"""Regenerate a walk at the selected steps and those after them, and nowhere else."""

from __future__ import annotations

from typing import Any

import torch
from gen_gaussians.walk import Walk, WalkTrace
from torch import Tensor

from gen_core import (
    NONE,
    UNCHANGED,
    UNKNOWN,
    ArgDiffs,
    Call,
    ChoiceMap,
    Path,
    Selection,
    Updated,
    derived,
    rooms,
    total,
)
from gen_core.arguments import all_unchanged
from gen_core.choicemap_build import graft
from gen_distributions import normal


def regenerate(
    gen_fn: Walk, trace: WalkTrace, call: Call[Any], argdiffs: ArgDiffs, selection: Selection
) -> Updated[Tensor]:
    """Return the regenerated walk; weight = the sum of the weights of the steps that are visited.

    A step's density depends on its own position and the one before: others stay as they are.
    """
    num_steps, scale = call.args
    if not all_unchanged(argdiffs):
        return derived.regenerate(trace, call, selection)
    steps = dict(trace.steps)
    weights: list[Tensor] = []
    scores = [trace.score]
    discards: list[tuple[Path, ChoiceMap]] = []
    for t in _affected(selection, num_steps):
        old = trace.steps[t,]
        position = steps[t - 1,].retval if t else torch.zeros(())
        new, weight, _, discard = rooms.regenerate(
            old, normal(position, scale), (UNKNOWN, UNCHANGED), selection.child(t)
        )
        steps[t,] = new
        weights.append(weight)
        scores += [new.score, -old.score]
        discards.append(((t,), discard))
    position = steps[num_steps - 1,].retval if num_steps else trace.retval
    retdiff = UNCHANGED if position is trace.retval else UNKNOWN
    return Updated(WalkTrace(call, position, total(scores), steps), total(weights), retdiff, graft(discards))


def _affected(selection: Selection, num_steps: int) -> list[int]:
    """Return the selected steps and the one after each, in order."""
    keys = selection.keys()
    named = range(num_steps) if keys is None else [key for key in keys if isinstance(key, int)]
    selected = {t for t in named if selection.child(t) is not NONE}
    return sorted(t for t in selected | {t + 1 for t in selected} if 0 <= t < num_steps)
