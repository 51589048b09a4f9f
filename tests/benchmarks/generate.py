"""generate with every choice given, against bare tensor operations and Pyro."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from baselines import bare, pyro_trace
from gen_core import ChoiceMap
from models import LOC, SCALE, K, independent
from timing import Benchmark, Contender, Target

OURS, BARE = "gen generate", "bare tensor operations, drawing too"


def benchmarks() -> Iterator[Benchmark]:
    """Return the one benchmark."""
    choices = independent.simulate(LOC, SCALE).choices
    values = [choices["x", i] for i in range(K)]
    contenders = [
        Contender(OURS, partial(_generate, choices)),
        Contender(BARE, lambda: bare.simulate(K, LOC, SCALE)),
        Contender("bare tensor operations, densities only", lambda: bare.assess(values, LOC, SCALE)),
    ]
    if pyro_trace.is_installed():
        given = {f"x{i}": value for i, value in enumerate(values)}
        for validate in (False, True):
            name = f"Pyro condition, {'with' if validate else 'without'} validation"
            run = partial(pyro_trace.condition, given, LOC, SCALE, validate=validate)
            contenders.append(Contender(name, run))
    title = f"generate {K} scalar normals, all given, score and weight read"
    yield Benchmark(title, contenders, K, Target(OURS, BARE, 0.5))


def _generate(choices: ChoiceMap) -> tuple[float, float]:
    trace, weight = independent.generate(choices, LOC, SCALE)
    return float(trace.score), float(weight)
