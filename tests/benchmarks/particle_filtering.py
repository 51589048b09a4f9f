"""A bootstrap particle filter of 100 steps and 100,000 particles, against torch by hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from baselines import particle_filter
from compiling import compiled_by_hand
from gen_inflib import sequence_filter
from state_space import MODEL, NUM_PARTICLES, NUM_STEPS, OBSERVATIONS, exact_log_evidence
from timing import Benchmark, Contender, Target

COMPILED, EAGER = "gen, compiled", "gen, eager"
BY_HAND, STEP_COMPILED = "by hand, eager", "by hand, torch.compile, a call a step"


def benchmarks() -> Iterator[Benchmark]:
    """Return the one benchmark. All resample at every step, and none keeps the history."""
    run = partial(
        sequence_filter,
        MODEL,
        OBSERVATIONS,
        num_particles=NUM_PARTICLES,
        threshold=1.0,
        keep_history=False,
    )
    compiled_step = compiled_by_hand(particle_filter.step)
    contenders = [
        Contender(COMPILED, lambda: float(run(compile=True).log_marginal_likelihood)),
        Contender(EAGER, lambda: float(run().log_marginal_likelihood)),
        Contender(BY_HAND, lambda: float(particle_filter.log_evidence())),
        Contender(STEP_COMPILED, lambda: float(particle_filter.run(compiled_step))),
    ]
    title = (
        f"particle filter, {NUM_STEPS} steps, {NUM_PARTICLES:,} particles (log evidence: exact "
        f"{exact_log_evidence():.2f}, compiled {contenders[0].run():.2f}, by hand {contenders[2].run():.2f})"
    )
    yield Benchmark(title, contenders, NUM_STEPS, Target(COMPILED, BY_HAND, 1.2), "step")
