"""The picture: the time of a move against the number of points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from outliers.timing import Times

INK, GRID = "#33414e", "#e3e6e8"
COLORS = {"dynamic, loop": "#8b959e", "dynamic, Map": "#1f6fb2", "static, Map": "#c8553d"}
BELOW = {"static, Map"}
"""Those whose name stands below the line."""
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "font.size": 10,
    "grid.color": GRID,
    "svg.fonttype": "none",
    "svg.hashsalt": "scaling",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def save_plot(path: Path, times: Times, unit: float) -> None:
    """Write the picture, as a PNG file or whatever the suffix says; `unit` is what counts as 1.

    Raises:
        OSError: The file cannot be written.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        for name, by_size in times.items():
            sizes = list(by_size)
            axes.plot(sizes, [by_size[n] / unit for n in sizes], "o-", color=COLORS[name], lw=2)
            axes.annotate(
                name,
                (sizes[-1], by_size[sizes[-1]] / unit),
                xytext=(0, -16 if name in BELOW else 9),
                textcoords="offset points",
                ha="right",
                color=COLORS[name],
            )
        axes.set(xscale="log", yscale="log", xlabel="points", ylabel="time of a move, relative")
        axes.set_title("Another flag for one point")
        axes.margins(y=0.15)
        axes.grid(visible=True)
        # Without a date, the same times give the same file.
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
