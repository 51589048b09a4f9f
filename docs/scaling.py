"""What a move of one outlier flag costs, in three models of the same regression.

    hatch run python docs/scaling.py                    times moves, and writes scaling.png
    hatch run python docs/scaling.py --most 1000000     the same for more points

The models are in outliers/models.py, and tutorials/scaling-with-the-static-language.md explains them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from outliers.plot import save_plot
from outliers.timing import Times, time_moves

FEWEST = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the moves, print their ratios, and write the picture; return the exit status."""
    options = parse_options(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    times = time_moves(sizes_up_to(options.most), options.moves)
    unit = times["static, Map"][FEWEST]
    print(table(times, unit))
    save_plot(options.output, times, unit)
    print(f"\nWrote {options.output.resolve()}")
    return 0


def sizes_up_to(most: int) -> list[int]:
    """Return 10, 100, ..., as far as `most`."""
    return [size for size in (10**exponent for exponent in range(1, 9)) if size <= most]


def table(times: Times, unit: float) -> str:
    """Return the times as multiples of `unit`, a line for each number of points."""
    sizes = list(times["static, Map"])
    lines = [f"{'points':>8}" + "".join(f"{name:>16}" for name in times)]
    for size in sizes:
        cells = [f"{by_size[size] / unit:.1f}" if size in by_size else "-" for by_size in times.values()]
        lines.append(f"{size:>8}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="scaling", description="Time the move of one flag.")
    parser.add_argument("--most", type=int, default=100_000, help="the most points (%(default)s)")
    parser.add_argument("--moves", type=int, default=100, help="moves in a round (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("scaling.png"), help="picture (%(default)s)")
    options = parser.parse_args(arguments)
    if options.most < FEWEST:
        parser.error(f"--most must be at least {FEWEST}")
    if options.moves < 1:
        parser.error("--moves must be at least 1")
    if not options.output.parent.is_dir():
        parser.error(f"there is no folder {options.output.parent}")
    return options


if __name__ == "__main__":
    sys.exit(main())
