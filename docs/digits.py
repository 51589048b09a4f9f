"""A variational autoencoder of handwritten digits: networks in a model and in a guide.

    hatch run python docs/digits.py               trains, and writes digits-vae.png
    hatch run python docs/digits.py --compiled    the same, with compiled steps

The model is in handwriting/model.py, and tutorials/digits.md explains it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from handwriting.data import load_images
from handwriting.model import Autoencoder
from handwriting.plot import save_plot
from handwriting.training import Epoch, log_likelihoods, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print what happens, and write the picture; return the exit status."""
    options = parse_options(arguments)
    torch.manual_seed(options.seed)
    images = load_images()
    autoencoder = Autoencoder()
    print(f"{len(images.training)} images to train with, {len(images.held_out)} held out")
    untrained = float(log_likelihoods(autoencoder, images.held_out).mean())
    print(f"untrained: held-out log likelihood {untrained:.1f} nats an image")
    epochs = train(autoencoder, images, num_epochs=options.epochs, compiled=options.compiled, show=show)
    save_plot(options.output, autoencoder, images.held_out, epochs)
    print(f"\nWrote {options.output.resolve()}")
    return 0


def show(epoch: Epoch) -> None:
    """Print an epoch, where the held-out likelihood was measured."""
    if epoch.held_out is not None:
        held_out = f"held-out log likelihood {epoch.held_out:.1f}"
        print(f"epoch {epoch.number:>3}: loss {epoch.loss:.1f}, {held_out}", flush=True)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="digits", description="Train an autoencoder of handwritten digits.")
    parser.add_argument("--epochs", type=int, default=150, help="passes over the data (%(default)s)")
    parser.add_argument("--compiled", action="store_true", help="compile the training step")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("digits-vae.png"), help="PNG file (%(default)s)")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    if not options.output.parent.is_dir():
        parser.error(f"there is no folder {options.output.parent}")
    return options


if __name__ == "__main__":
    sys.exit(main())
