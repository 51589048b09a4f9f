"""Importance sampling with 100,000 particles, batched and compiled, against torch by hand."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from baselines import importance_sampling
from compiling import compiled_by_hand
from gen_core import batch
from gen_torch import jit
from regression import LOG_N, NUM_PARTICLES, XS, YS, quadratic
from timing import Benchmark, Contender, Target

BATCHED, BROADCAST = "gen batch", "by hand, broadcasting"
STAGED, COMPILED = "gen jit", "by hand, torch.compile"


def sample() -> importance_sampling.Result:
    """Return coefficients, log weights and log evidence."""
    traces, log_weights = batch(lambda: quadratic.generate({"ys": YS}, XS), size=NUM_PARTICLES)()
    a, b, c = (traces.choices[name] for name in "abc")
    return a, b, c, log_weights, log_weights.logsumexp(0) - LOG_N


def benchmarks() -> Iterator[Benchmark]:
    """Return one benchmark for eager code and one for compiled code."""
    title = f"importance sampling, {len(XS)} observations, {NUM_PARTICLES:,} particles"
    eager = [
        Contender(BATCHED, lambda: evidence(sample())),
        Contender(BROADCAST, lambda: evidence(importance_sampling.broadcast())),
        Contender("by hand, in one buffer", lambda: evidence(importance_sampling.in_place())),
    ]
    yield Benchmark(f"{title}, eager", eager, NUM_PARTICLES, Target(BATCHED, BROADCAST, 1.2), "particle")
    staged, by_hand = jit(sample), compiled_by_hand(importance_sampling.broadcast)
    compiled = [
        Contender(STAGED, lambda: evidence(staged())),
        Contender(COMPILED, lambda: evidence(by_hand())),
    ]
    yield Benchmark(f"{title}, compiled", compiled, NUM_PARTICLES, Target(STAGED, COMPILED, 1.2), "particle")


def evidence(result: tuple[Tensor, ...]) -> float:
    """Read the number that it is about."""
    return float(result[-1])
