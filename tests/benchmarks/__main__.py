"""Benchmarks: `hatch run bench`. Every ratio is within one run; nothing here passes or fails.

hatch run bench                        everything
hatch run bench importance hmc         some of it
"""

from __future__ import annotations

import os
import platform
import sys

import torch

import compile_time
import extending
import generate
import hmc
import importance
import memory
import metropolis_hastings_step
import nuts
import outliers
import particle_filtering
import simulate
import static_language
import training
import update
from baselines import pyro_trace
from timing import CALLS_PER_ROUND, NUM_ROUNDS, report

BENCHMARKS = [
    simulate,
    generate,
    update,
    metropolis_hastings_step,
    outliers,
    extending,
    static_language,
    importance,
    hmc,
    training,
    particle_filtering,
]
TABLES = [memory, nuts, compile_time]
"""What measures something else than time, or in another way."""

# Large temporaries come from memory that the process keeps: page faults otherwise make the same code up to
# four times slower in some runs. glibc reads these when a process starts.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


def main(names: list[str]) -> None:
    """Run benchmarks, and print their tables."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, one thread")
    print(f"medians of {NUM_ROUNDS} interleaved rounds of {CALLS_PER_ROUND} calls")
    if not pyro_trace.is_installed():
        print("Pyro is not installed here; `hatch run bench` brings it")
    for module in BENCHMARKS:
        if not names or module.__name__ in names:
            for benchmark in module.benchmarks():
                print(f"\n{report(benchmark)}", flush=True)
    for table in TABLES:
        if not names or table.__name__ in names:
            print(f"\n{table.report()}", flush=True)


if __name__ == "__main__":
    if not ALLOCATOR.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ALLOCATOR)
    main(sys.argv[1:])
