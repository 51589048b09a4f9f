"""Proposals: generative functions of the current trace, whose choices are new values for the model's."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from changepoints.model import MAX_CHANGES, owners
from changepoints.series import Series
from gen_core import Trace
from gen_distributions import categorical, delta, log_normal, normal, uniform
from gen_dml import gen


@gen
def birth_or_death(trace: Trace[Tensor]) -> None:
    """Add a change after the last number, or remove the one with the last number."""
    num_changes = int(trace["num_changes"])
    proposed = categorical(neighbours(num_changes)) @ "num_changes"
    if proposed > num_changes:
        birth(trace) @ ("change", num_changes)


@gen
def birth(trace: Trace[Tensor]) -> None:
    """A change at any time, to a level that fits the measurements from then to the next change."""
    series = series_of(trace)
    time = uniform(series.first, series.last) @ "time"
    fit = fit_levels(trace, [*change_times(trace), time])
    normal(fit.mean[-1], fit.scale[-1]) @ "level"


@gen
def refit(trace: Trace[Tensor]) -> None:
    """All levels, given everything else: this is Gibbs sampling, and always accepted."""
    fit = fit_levels(trace, change_times(trace))
    normal(fit.mean[0], fit.scale[0]) @ "base"
    for i in range(trace["num_changes"]):
        normal(fit.mean[i + 1], fit.scale[i + 1]) @ ("change", i, "level")


@gen
def renoise(trace: Trace[Tensor]) -> None:
    """The noise, not far from where it is."""
    log_normal(trace["noise"].log(), 0.15) @ "noise"


@gen
def shift(trace: Trace[Tensor], i: int) -> None:
    """The time of change `i`, not far from where it is."""
    series = series_of(trace)
    normal(trace["change", i, "time"], 0.03 * (series.last - series.first)) @ ("change", i, "time")


@gen
def swap(trace: Trace[Tensor], i: int, j: int) -> None:
    """Changes `i` and `j` trade their numbers, so that every change gets its turn to be the last."""
    for here, there in ((i, j), (j, i)):
        delta(trace["change", there, "time"]) @ ("change", here, "time")
        delta(trace["change", there, "level"]) @ ("change", here, "level")


def neighbours(num_changes: int) -> Tensor:
    """Return weights of the numbers of changes to propose: one more or one less, where possible."""
    return torch.tensor([float(abs(k - num_changes) == 1) for k in range(MAX_CHANGES + 1)])


class Fit(NamedTuple):
    """The distribution of each level given the measurements: before all changes, then after each."""

    mean: Tensor
    scale: Tensor


def fit_levels(trace: Trace[Tensor], times: list[Tensor]) -> Fit:
    """Return the distributions of the levels, if there were changes at `times`, given the noise."""
    series = series_of(trace)
    owner = owners(series.times, times)
    count = torch.bincount(owner, minlength=len(times) + 1)
    total = torch.bincount(owner, weights=trace["values"], minlength=len(times) + 1)
    prior, likelihood = series.spread**-2, trace["noise"] ** -2
    precision = prior + count * likelihood
    return Fit((prior * series.center + likelihood * total) / precision, precision**-0.5)


def change_times(trace: Trace[Tensor]) -> list[Tensor]:
    """Return the times of the changes, in the order of their numbers."""
    return [trace["change", i, "time"] for i in range(trace["num_changes"])]


def series_of(trace: Trace[Tensor]) -> Series:
    """Return the argument that the model was run on."""
    series: Series = trace.args[0]
    return series
