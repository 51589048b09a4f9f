"""What the chain says about a series: numbers for people, and the curves to plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from changepoints.model import MAX_CHANGES
from changepoints.proposals import change_times
from changepoints.series import Series
from gen_core import Trace
from gen_inflib import Chain

LOW, HIGH = 0.05, 0.95


class Interval(NamedTuple):
    """The posterior mean or median of a number, and its 90% interval."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """The posterior of a series' history."""

    num_changes_probs: list[float]
    """The probability of each number of changes."""
    num_changes: int
    """The most probable number of changes; what follows is given this number."""
    last_times: list[Interval]
    """For each change, in order: when the last measurement before it was made. The middle is the median."""
    levels: list[Interval]
    """The mean level before the first change, after it, after the second..."""
    noise: Interval
    """The standard deviation of the measurements."""


def summarize(series: Series, chain: Chain[Tensor]) -> Summary:
    """Return what the traces of a chain say."""
    counts = torch.tensor([int(trace["num_changes"]) for trace in chain.traces])
    probs = torch.bincount(counts, minlength=MAX_CHANGES + 1) / len(counts)
    num_changes = int(probs.argmax())
    likely = [trace for trace in chain.traces if int(trace["num_changes"]) == num_changes]
    last_times = torch.stack([last_times_before(series, trace) for trace in likely])
    levels = torch.stack([levels_in_order(trace) for trace in likely])
    return Summary(
        num_changes_probs=probs.tolist(),
        num_changes=num_changes,
        last_times=[_interval(column, column.median()) for column in last_times.unbind(1)],
        levels=[_interval(column, column.mean()) for column in levels.unbind(1)],
        noise=_mean_interval([trace["noise"] for trace in likely]),
    )


def last_times_before(series: Series, trace: Trace[Tensor]) -> Tensor:
    """Return when the last measurement before each change was made, in the order of time."""
    times = torch.tensor(sorted(change_times(trace)), dtype=torch.float64)
    return series.times[torch.searchsorted(series.times, times, right=True) - 1]


def levels_in_order(trace: Trace[Tensor]) -> Tensor:
    """Return the level before all changes, and after each, in the order of time."""
    times = change_times(trace)
    in_order = sorted(range(len(times)), key=times.__getitem__)
    return torch.stack([trace["base"], *(trace["change", i, "level"] for i in in_order)])


def describe(series: Series, summary: Summary) -> str:
    """Return the summary as text."""
    k = summary.num_changes
    lines = ["Posterior probability of the number of changes:"]
    for number, prob in enumerate(summary.num_changes_probs):
        lines.append(f"  {number}  {prob:6.1%}  {'#' * round(40 * prob)}".rstrip())
    lines += ["", f"Given {k} change{'s' if k != 1 else ''} (the most probable number), with 90% intervals:"]
    first = f"{series.value_name} before the first change" if k else series.value_name
    lines.append(_row(first, summary.levels[0]))
    for number, (time, level) in enumerate(zip(summary.last_times, summary.levels[1:], strict=True), start=1):
        lines.append(_row(f"last {series.time_name} before change {number}", time))
        lines.append(_row(f"{series.value_name} after change {number}", level))
    lines.append(_row("standard deviation of the noise", summary.noise))
    return "\n".join(lines)


def _row(name: str, interval: Interval) -> str:
    middle, low, high = map(_number, interval)
    return f"  {name:<36} {middle:>10}   [{low}, {high}]"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _mean_interval(values: list[Tensor]) -> Interval:
    column = torch.stack(values)
    return _interval(column, column.mean())


def _interval(column: Tensor, middle: Tensor) -> Interval:
    low, high = column.quantile(
        torch.tensor([LOW, HIGH], dtype=column.dtype), interpolation="nearest"
    ).tolist()
    return Interval(float(middle), low, high)
