"""Timing several ways to do one thing, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import NamedTuple

WARM_UP_CALLS = 3
NUM_ROUNDS = 25
CALLS_PER_ROUND = 4
LONG_CALL = 0.1
"""Seconds; contenders that take longer are called once a round."""


class Contender(NamedTuple):
    """One way to do it. `run` ends by reading the numbers that it computes."""

    name: str
    run: Callable[[], object]


class Timing(NamedTuple):
    """Seconds a call."""

    median: float
    warm_up: float
    """All calls before the first that counts."""


@dataclass(frozen=True)
class Target:
    """What `name` may cost at most, as a multiple of `baseline`."""

    name: str
    baseline: str
    ratio: float


@dataclass(frozen=True)
class Benchmark:
    """Contenders, how many choices (or other units) each call makes, and what is asked of them."""

    title: str
    contenders: Sequence[Contender]
    num_units: int
    target: Target
    unit: str = "choice"


def measure(contenders: Sequence[Contender]) -> dict[str, Timing]:
    """Time all contenders in rounds, each a few calls of every one, so that a slow moment hits all alike."""
    warm_ups = {contender.name: _seconds(contender, WARM_UP_CALLS) for contender in contenders}
    is_long = any(_seconds(contender, 1) > LONG_CALL for contender in contenders)
    calls = 1 if is_long else CALLS_PER_ROUND
    rounds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(NUM_ROUNDS):
        for contender in contenders:
            rounds[contender.name].append(_seconds(contender, calls) / calls)
    return {name: Timing(median(seconds), warm_ups[name]) for name, seconds in rounds.items()}


def report(benchmark: Benchmark) -> str:
    """Run a benchmark, and return a table."""
    timings = measure(benchmark.contenders)
    target = benchmark.target
    base = timings[target.baseline].median
    lines = [
        benchmark.title,
        f"  {'':<44}{'us a call':>11}{f'us a {benchmark.unit}':>14}{'ratio':>8}{'warm-up, ms':>13}",
    ]
    for name, timing in timings.items():
        each = timing.median / benchmark.num_units
        lines.append(
            f"  {name:<44}{timing.median * 1e6:>11.0f}{each * 1e6:>14.3f}{timing.median / base:>8.2f}"
            f"{timing.warm_up * 1e3:>13.1f}"
        )
    ratio = timings[target.name].median / base
    verdict = "met" if ratio <= target.ratio else "MISSED"
    return "\n".join(
        [*lines, f"  target: {target.name} <= {target.ratio:g} x {target.baseline}: {ratio:.2f}, {verdict}"]
    )


def _seconds(contender: Contender, calls: int) -> float:
    start = perf_counter()
    for _ in range(calls):
        contender.run()
    return perf_counter() - start
