"""The model: a level that changes a random number of times, and noisy measurements of it."""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

import torch
from torch import Tensor

from changepoints.series import Series
from gen_distributions import categorical, half_normal, normal, uniform
from gen_dml import gen

MAX_CHANGES = 4
NUM_CHANGES_PRIOR = [1 / factorial(k) for k in range(MAX_CHANGES + 1)]
"""Weights in the proportions of a Poisson distribution with mean 1."""


class Change(NamedTuple):
    """When the level changes, and what it is from then on, until the next change."""

    time: Tensor
    level: Tensor


@gen
def change(series: Series) -> Change:
    """One change."""
    time = uniform(series.first, series.last) @ "time"
    level = normal(series.center, series.spread) @ "level"
    return Change(time, level)


@gen
def history(series: Series) -> Tensor:
    """The level at the time of each measurement.

    Changes are numbered as they come, not by time: a new one gets the next number and no other is renumbered.
    """
    num_changes = categorical(NUM_CHANGES_PRIOR) @ "num_changes"
    base = normal(series.center, series.spread) @ "base"
    changes = [change(series) @ ("change", i) for i in range(num_changes)]
    owner = owners(series.times, [time for time, _ in changes])
    levels = torch.stack([base, *(level for _, level in changes)])[owner]
    noise = half_normal(series.spread) @ "noise"
    normal(levels, noise) @ "values"
    return levels


def owners(times: Tensor, change_times: list[Tensor]) -> Tensor:
    """Return whose level holds at each time: 0 before all changes, i + 1 after change i."""
    owner = torch.zeros(times.shape, dtype=torch.int64)
    for i in sorted(range(len(change_times)), key=change_times.__getitem__):
        owner = torch.where(times > change_times[i], i + 1, owner)
    return owner
