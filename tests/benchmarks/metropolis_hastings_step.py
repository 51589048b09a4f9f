"""A Metropolis-Hastings step against the operations that it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gen_core import Trace
from gen_distributions import normal
from gen_dml import gen
from gen_inflib import metropolis_hastings
from models import LOC, SCALE, K, independent
from timing import Benchmark, Contender, Target

STEP, OPERATIONS = "gen metropolis_hastings", "its own propose, update and assess"


@gen
def drift(trace: Trace[Any]) -> None:
    """Propose one choice, near where it is."""
    normal(trace["x", K // 2], 0.5) @ ("x", K // 2)


def benchmarks() -> Iterator[Benchmark]:
    """Return the one benchmark."""
    trace = independent.simulate(LOC, SCALE)
    contenders = [
        Contender(STEP, lambda: metropolis_hastings(trace, drift)),
        Contender(OPERATIONS, lambda: _operations(trace)),
    ]
    title = f"a Metropolis-Hastings step on one of {K} scalar normals, custom proposal"
    yield Benchmark(title, contenders, K, Target(STEP, OPERATIONS, 1.3))


def _operations(trace: Trace[Any]) -> float:
    choices, forward, _ = drift.propose(trace)
    updated = trace.update(choices)
    backward = drift.assess(updated.discard, updated.trace).score
    return float(updated.weight + backward - forward)
