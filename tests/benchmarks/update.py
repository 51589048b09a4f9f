"""update of one choice among many, against simulate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from gen_core import Call, Trace
from models import LOC, SCALE, K, independent, walk
from timing import Benchmark, Contender, Target

OURS, SIMULATE = "gen update", "gen simulate"


def benchmarks() -> Iterator[Benchmark]:
    """Return one benchmark where nothing depends on the choice, and one where the next choice does."""
    calls: dict[str, Call[Any]] = {"": independent(LOC, SCALE), "a walk of ": walk(LOC, SCALE)}
    for kind, call in calls.items():
        contenders = [
            Contender(OURS, partial(_update, call.simulate())),
            Contender(SIMULATE, partial(_simulate, call)),
        ]
        title = f"update one of {kind}{K} scalar normals, score and weight read"
        yield Benchmark(title, contenders, K, Target(OURS, SIMULATE, 1.5))


def _update(trace: Trace[Any]) -> tuple[float, float]:
    updated = trace.update({("x", K // 2): torch.zeros(())})
    return float(updated.trace.score), float(updated.weight)


def _simulate(call: Call[Any]) -> float:
    return float(call.simulate().score)
