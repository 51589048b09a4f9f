"""simulate against bare tensor operations and Pyro."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from baselines import bare, pyro_trace
from gen_core import Call
from models import LOC, SCALE, K, independent, walk
from timing import Benchmark, Contender, Target

OURS, BARE = "gen simulate", "bare tensor operations"


def benchmarks() -> Iterator[Benchmark]:
    """Return a benchmark for each kind of parameters."""
    target = Target(OURS, BARE, 0.5)
    title = f"simulate {K} scalar normals whose parameters are numbers, score read"
    contenders = [*_side_by_side(independent, bare.simulate, LOC, SCALE), *_pyro()]
    yield Benchmark(title, contenders, K, target)
    title = f"simulate {K} scalar normals whose parameters are tensors, score read"
    loc, scale = torch.tensor(LOC), torch.tensor(SCALE)
    yield Benchmark(title, _side_by_side(independent, bare.simulate, loc, scale), K, target)
    title = f"simulate a walk of {K} scalar normals, each centred at the one before, score read"
    yield Benchmark(title, _side_by_side(walk, bare.simulate_walk, LOC, SCALE), K, target)


def _side_by_side(
    model: Callable[..., Call[Any]], by_hand: Callable[..., float], *args: Any
) -> list[Contender]:
    return [Contender(OURS, partial(_simulate, model(*args))), Contender(BARE, partial(by_hand, K, *args))]


def _simulate(call: Call[Any]) -> float:
    return float(call.simulate().score)


def _pyro() -> Iterator[Contender]:
    if pyro_trace.is_installed():
        for validate in (False, True):
            name = f"Pyro trace, {'with' if validate else 'without'} validation"
            yield Contender(name, partial(pyro_trace.simulate, K, LOC, SCALE, validate=validate))
