"""When did the level of a series change, and how often? Inference over models of random structure.

    hatch run demo              the annual flow of the Nile, 1871-1970
    hatch run demo my.csv       your own measurements: two columns, time and value

The model is in changepoints/model.py, the proposals are in changepoints/proposals.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from changepoints.kernels import sweep
from changepoints.model import history
from changepoints.plot import save_plot
from changepoints.series import Series, SeriesError, read_series
from changepoints.summary import describe, summarize
from gen_inflib import Chain, run_chain

NILE = Path(__file__).parent / "data" / "nile.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo, and return the exit status."""
    options = parse_options(arguments)
    try:
        series = read_series(options.csv)
    except SeriesError as error:
        return fail(f"{options.csv}: {error}.")
    picture = options.output or Path(f"{options.csv.stem}-changes.png")
    if not picture.parent.is_dir():
        return fail(f"cannot write {picture}: there is no folder {picture.parent}.")
    print(f"{len(series.times)} measurements of {series.value_name} from {options.csv.name}")
    chain = infer(series, num_sweeps=options.sweeps, seed=options.seed)
    summary = summarize(series, chain)
    print(describe(series, summary))
    try:
        save_plot(picture, series, chain, summary)
    except OSError as error:
        return fail(f"cannot write {picture}: {error.strerror}.")
    print(f"\nWrote {picture.resolve()}")
    return 0


def infer(series: Series, *, num_sweeps: int, seed: int) -> Chain[Tensor]:
    """Return a Markov chain over histories of the series, whose first tenth was left out."""
    torch.manual_seed(seed)
    start, _ = history.generate({"values": series.values}, series)
    num_warmup = num_sweeps // 10
    print(f"Running {num_sweeps} sweeps of Markov chain Monte Carlo ...\n", flush=True)
    return run_chain(start, sweep, num_samples=num_sweeps - num_warmup, num_warmup=num_warmup)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="demo", description="Find the changes of level in a series.")
    parser.add_argument("csv", nargs="?", type=Path, default=NILE, help="two columns, time and value")
    parser.add_argument("--sweeps", type=int, default=2500, help="length of the Markov chain (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (%(default)s)")
    parser.add_argument("--output", type=Path, help="the PNG file to write (NAME-changes.png)")
    options = parser.parse_args(arguments)
    if options.sweeps < 10:
        parser.error("--sweeps must be at least 10")
    return options


def fail(message: str) -> int:
    """Say on one line what is wrong, and return the exit status."""
    print(f"demo: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
