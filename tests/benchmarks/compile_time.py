"""Compile times: each measured in a process of its own, on one core, with an empty Inductor cache.

Processor seconds are counted, those of the C++ compiler included: they vary less than the clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

import hmc
import importance
from autoencoder import DATA_DIM, NUM_DATA, Networks
from baselines import hmc as hmc_by_hand
from baselines import importance_sampling, vae
from compiling import compiled_by_hand
from gen_torch import jit

NUM_ROUNDS = 3
TARGET = 1.3


class Pair(NamedTuple):
    """How to compile and run ours, and the rival."""

    ours: Callable[[], object]
    by_hand: Callable[[], object]


def importance_sampling_pair() -> Pair:
    """Return importance sampling with 100,000 particles."""
    return Pair(jit(importance.sample), compiled_by_hand(importance_sampling.broadcast))


def hmc_pair() -> Pair:
    """Return a step of Hamiltonian Monte Carlo."""
    start = torch.zeros(3)
    return Pair(partial(jit(hmc.step), start), partial(compiled_by_hand(hmc_by_hand.step), start))


def training_pair() -> Pair:
    """Return the loss of the autoencoder with its gradients."""
    x = (torch.rand(NUM_DATA, DATA_DIM) < 0.4).float()
    ours, by_hand = Networks(), Networks()
    loss_by_hand = compiled_by_hand(partial(vae.loss, by_hand))
    return Pair(lambda: backward(jit(ours.loss)(x)), lambda: backward(loss_by_hand(x)))


PAIRS: dict[str, Callable[[], Pair]] = {
    "importance sampling": importance_sampling_pair,
    "a step of Hamiltonian Monte Carlo": hmc_pair,
    "a training step": training_pair,
}


def backward(loss: Tensor) -> None:
    """Compile the gradients as well."""
    loss.backward()


def report() -> str:
    """Measure all, and return a table."""
    lines = [
        f"compile times, medians of {NUM_ROUNDS}",
        f"  {'':<44}{'gen jit, s':>13}{'by hand, s':>13}{'ratio':>8}",
    ]
    verdicts = []
    for name in PAIRS:
        rounds = [(measured(name, "ours"), measured(name, "by_hand")) for _ in range(NUM_ROUNDS)]
        ours, by_hand = (median(column) for column in zip(*rounds, strict=True))
        lines.append(f"  {name:<44}{ours:>13.1f}{by_hand:>13.1f}{ours / by_hand:>8.2f}")
        verdicts.append("met" if ours <= TARGET * by_hand else "MISSED")
    return "\n".join([*lines, f"  target: gen jit <= {TARGET:g} x by hand: {', '.join(verdicts)}"])


def measured(name: str, side: str) -> float:
    """Return the processor seconds that one side takes to compile, measured in a new process."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        command = [sys.executable, __file__, name, side]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main(name: str, side: str) -> None:
    """Compile one side, and print what it took."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    compiled_by_hand(torch.sin)(torch.zeros(3))  # what the first program of a process costs, whichever it is
    pair = PAIRS[name]()
    before = sum(os.times()[:4])
    (pair.ours if side == "ours" else pair.by_hand)()
    print(sum(os.times()[:4]) - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
