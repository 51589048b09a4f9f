"""Extending an Unfold by one step, whatever the number of steps before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gen_combinators import Unfold
from gen_core import Call, Trace
from gen_distributions import normal
from gen_dml import gen
from timing import Benchmark, Contender, Target

SHORT, LONG = 10, 10_000
DRIFT = 0.1
START = torch.zeros(())


@gen
def step(t: int, x: Tensor, drift: float) -> Tensor:
    """Go on from x, and see where that is."""
    x = normal(x + drift, 1.0) @ "x"
    normal(x, 0.5) @ "y"
    return x


chain = Unfold(step)


@gen
def caller(num_steps: int) -> None:
    """Where it starts is a choice."""
    start = normal(0.0, 1.0) @ "start"
    chain(num_steps, start, DRIFT) @ "steps"


def alone(num_steps: int) -> Call[Any]:
    """Return the chain itself."""
    return chain(num_steps, START, DRIFT)


KINDS: dict[str, Callable[[int], Call[Any]]] = {"": alone, " in a dynamic caller": caller}


def benchmarks() -> Iterator[Benchmark]:
    """Return one benchmark of the chain alone, and one of it within a caller."""
    names = {length: f"gen update, {length:,} steps" for length in (LONG, SHORT)}
    for where, made in KINDS.items():
        contenders = [
            Contender(name, partial(_extend, made(length).simulate(), made(length + 1)))
            for length, name in names.items()
        ]
        title = f"extend an Unfold{where} by one step, score and weight read"
        yield Benchmark(title, contenders, 1, Target(names[LONG], names[SHORT], 1.5), unit="step")


def _extend(trace: Trace[Any], longer: Call[Any]) -> tuple[float, float]:
    updated = trace.update({}, longer)
    return float(updated.trace.score), float(updated.weight)
