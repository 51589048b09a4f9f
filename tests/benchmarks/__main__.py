"""Benchmarks: `hatch run bench`. Every ratio is within one run; nothing here passes or fails."""

from __future__ import annotations

import platform

import torch

import generate
import metropolis_hastings_step
import simulate
import update
from baselines import pyro_trace
from timing import CALLS_PER_ROUND, NUM_ROUNDS, report

BENCHMARKS = [simulate, generate, update, metropolis_hastings_step]


def main() -> None:
    """Run all benchmarks, and print their tables."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, one thread")
    print(f"medians of {NUM_ROUNDS} interleaved rounds of {CALLS_PER_ROUND} calls")
    if not pyro_trace.is_installed():
        print("Pyro is not installed here; `hatch run bench` brings it")
    for module in BENCHMARKS:
        for benchmark in module.benchmarks():
            print(f"\n{report(benchmark)}", flush=True)


if __name__ == "__main__":
    main()
