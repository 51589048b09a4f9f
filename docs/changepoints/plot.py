"""The picture: the measurements, the level and how sure we are of it, and when it changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from changepoints.model import MAX_CHANGES
from changepoints.series import Series
from changepoints.summary import HIGH, LOW, Summary, last_times_before
from gen_inflib import Chain

INK, LEVEL, CHANGE, GRID = "#33414e", "#1f6fb2", "#c8553d", "#e3e6e8"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "font.size": 10,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def save_plot(path: Path, series: Series, chain: Chain[Tensor], summary: Summary) -> None:
    """Write the picture as a PNG file.

    Raises:
        OSError: The file cannot be written.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 7), layout="constrained")
        axes = figure.subplot_mosaic(
            [["history", "history"], ["times", "number"]], height_ratios=[2.2, 1], width_ratios=[2.6, 1]
        )
        plot_history(axes["history"], series, chain, summary)
        plot_times(axes["times"], series, chain)
        plot_number(axes["number"], summary)
        axes["history"].sharex(axes["times"])
        figure.savefig(path, dpi=150, format="png")


def plot_history(axes: Axes, series: Series, chain: Chain[Tensor], summary: Summary) -> None:
    """Plot the measurements, the mean level with its 90% band, and the likely changes."""
    times = series.times.numpy()
    levels = torch.stack([trace.retval for trace in chain.traces])
    low, high = levels.quantile(torch.tensor([LOW, HIGH], dtype=levels.dtype), dim=0).numpy()
    axes.plot(times, series.values.numpy(), color=INK, alpha=0.2, lw=0.8)
    axes.plot(times, series.values.numpy(), ".", color=INK, alpha=0.7, ms=6, label="measured")
    axes.fill_between(
        times, low, high, step="mid", color=LEVEL, alpha=0.25, lw=0, label="level, 90% interval"
    )
    mean = levels.mean(0).numpy()
    axes.plot(times, mean, drawstyle="steps-mid", color=LEVEL, lw=2.2, label="level, posterior mean")
    for i, when in enumerate(summary.last_times):
        label = f"{series.time_name} of change, 90% interval" if i == 0 else None
        middle, start, end = (halfway_to_next(series, time) for time in when)
        axes.axvspan(start, end, color=CHANGE, alpha=0.15, lw=0, label=label)
        axes.axvline(middle, color=CHANGE, lw=1.2, ls="--")
    axes.set(title=headline(series, summary), ylabel=series.value_name)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.07), frameon=False, ncols=4)


def headline(series: Series, summary: Summary) -> str:
    """Return the finding, as the title."""
    k = summary.num_changes
    times = ", ".join(f"{time.middle:g}" for time in summary.last_times)
    changes = {0: "no change", 1: f"one change, after {times}"}.get(k, f"{k} changes, after {times}")
    return f"{series.value_name} by {series.time_name}: most likely {changes}"


def plot_times(axes: Axes, series: Series, chain: Chain[Tensor]) -> None:
    """Plot how probable a change is between each measurement and the next."""
    changed = torch.zeros(len(series.times), dtype=torch.float64)
    for trace in chain.traces:
        last = torch.searchsorted(series.times, last_times_before(series, trace))
        changed[last.unique()] += 1 / len(chain.traces)
    gaps = series.times.diff()
    middles = series.times[:-1] + gaps / 2
    axes.bar(middles.numpy(), changed[:-1].numpy(), width=gaps.numpy(), color=CHANGE)
    axes.set(title="When: probability of a change between measurements", xlabel=series.time_name)
    axes.set_ylabel("probability")


def halfway_to_next(series: Series, time: float) -> float:
    """Return the middle between a measurement and the next."""
    index = int(torch.searchsorted(series.times, time, right=True))
    return (time + float(series.times[min(index, len(series.times) - 1)])) / 2


def plot_number(axes: Axes, summary: Summary) -> None:
    """Plot how probable each number of changes is."""
    bars = axes.bar(range(MAX_CHANGES + 1), summary.num_changes_probs, color=LEVEL, width=0.7)
    axes.bar_label(bars, labels=[f"{prob:.0%}" for prob in summary.num_changes_probs], padding=2, color=INK)
    axes.set(title="How many changes", xlabel="number of changes", xticks=range(MAX_CHANGES + 1))
    axes.set_ylim(0, 1.15 * max(summary.num_changes_probs))
    axes.grid(visible=False, axis="x")
