"""The picture: the loss falling, held-out digits with their reconstructions, and digits from the prior."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gen_core import batch
from handwriting.model import MAX_INK, Autoencoder
from handwriting.training import Epoch

INK, LOSS, HELD_OUT, GRID = "#33414e", "#1f6fb2", "#c8553d", "#e3e6e8"
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
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
NUM_SHOWN, NUM_ROWS_OF_SAMPLES = 12, 4


def save_plot(path: Path, autoencoder: Autoencoder, held_out: Tensor, epochs: Sequence[Epoch]) -> None:
    """Write the picture as a PNG file.

    Raises:
        OSError: The file cannot be written.
    """
    shown = held_out[:NUM_SHOWN]
    with matplotlib.rc_context(STYLE), torch.no_grad():
        figure = Figure(figsize=(12, 5.1), layout="constrained")
        axes = figure.subplot_mosaic(
            [["training", "digits"], ["training", "samples"]],
            width_ratios=[1, 1.75],
            height_ratios=[2, NUM_ROWS_OF_SAMPLES],
        )
        plot_training(axes["training"], epochs)
        plot_digits(axes["digits"], torch.cat([shown, reconstruct(autoencoder, shown)]))
        axes["digits"].set_title("Held-out digits; below, decoded from the code guessed for each")
        plot_digits(axes["samples"], imagine(autoencoder, NUM_SHOWN * NUM_ROWS_OF_SAMPLES))
        axes["samples"].set_title("Digits that nobody wrote: decoded from codes of the prior")
        figure.savefig(path, dpi=150, format="png")


def reconstruct(autoencoder: Autoencoder, images: Tensor) -> Tensor:
    """Return the expected ink under the mean of the guess for each image."""

    def decode(ink: Tensor) -> Tensor:
        code = autoencoder.guess.simulate(ink).retval
        return autoencoder.image.generate({"code": code}).trace.retval

    decoded: Tensor = batch(decode)(images)
    return decoded


def imagine(autoencoder: Autoencoder, num_images: int) -> Tensor:
    """Return the expected ink of images from the model."""
    traces = batch(autoencoder.image.simulate, size=num_images)()
    images: Tensor = traces.retval
    return images


def plot_training(axes: Axes, epochs: Sequence[Epoch]) -> None:
    """Plot the loss of every epoch, and the held-out likelihood where it was measured."""
    numbers, losses = [epoch.number for epoch in epochs], [epoch.loss for epoch in epochs]
    axes.plot(numbers, losses, color=LOSS, lw=2, label="training loss")
    measured = [(epoch.number, -epoch.held_out) for epoch in epochs if epoch.held_out is not None]
    axes.plot(*zip(*measured, strict=True), "o", color=HELD_OUT, ms=5, label="held out: minus log likelihood")
    # The first epochs would squeeze all others.
    axes.set_ylim(0.9 * min(losses), min(2.5 * min(losses), 1.05 * max(losses)))
    axes.set(title="Training", xlabel="epoch", ylabel="nats an image")
    axes.legend(frameon=False)
    axes.grid(visible=True)


def plot_digits(axes: Axes, images: Tensor) -> None:
    """Plot images in rows of `NUM_SHOWN`."""
    framed = torch.nn.functional.pad(images.reshape(-1, NUM_SHOWN, 8, 8).float(), (1, 1, 1, 1))
    rows = framed.permute(0, 2, 1, 3).flatten(0, 1).flatten(1)
    axes.imshow(rows.numpy(), cmap="gray_r", vmin=0, vmax=MAX_INK, interpolation="nearest")
    axes.set_axis_off()
