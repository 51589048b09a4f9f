"""The particle filter: sequential Monte Carlo through a sequence of arguments and observations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, TypeVar

from gen_core import Call, Choices
from gen_inflib.checks import check_threshold
from gen_inflib.errors import CountError
from gen_inflib.importance import importance_sampling
from gen_inflib.kernel import Kernel
from gen_inflib.proposal import Proposal
from gen_inflib.resampling import Resampler, systematic
from gen_inflib.sequential import extend, rejuvenate, resample
from gen_inflib.weighted import Weighted

R = TypeVar("R")

Step: TypeAlias = tuple[Call[R], Choices]
"""A model with the arguments of a step, and what is new of the observations."""


def particle_filter(
    steps: Iterable[Step[R]],
    *,
    num_particles: int,
    first_proposal: Call[Any] | None = None,
    proposal: Proposal[Any] | None = None,
    method: Resampler = systematic,
    threshold: float | None = 0.5,
    rejuvenation: Kernel[R] | None = None,
    batched: bool | None = None,
) -> Weighted[R]:
    """Follow the posterior of a model through a sequence of steps.

    The first step draws particles as `importance_sampling` does. Each further one resamples where the
    effective sample size has fallen, applies the rejuvenation kernel, and extends every particle
    (`gen_inflib.extend`). For a single `Unfold`, `sequence_filter` does the same much faster.

    Args:
        steps: The model with its arguments and the new observations, step by step: for example
            `((model(t), {("ys", t - 1): y}) for t, y in enumerate(ys, 1))`.
        num_particles: How many particles.
        first_proposal: Proposes choices of the first step.
        proposal: Proposes choices of each further step, from the trace so far.
        method: The resampler.
        threshold: The share of the particles below which the effective sample size is too small; None
            resamples at every step.
        rejuvenation: A kernel that leaves each step's posterior as it is.
        batched: As for `importance_sampling`.

    Returns:
        Particles after the last step, not resampled after it; the evidence is of all observations.

    Raises:
        CountError: There are no steps, or no particles.
        ThresholdError: `threshold` is not between 0 and 1.
        ImpossibleObservationsError: At some step every particle has probability zero.

    Source: Gordon, Salmond and Smith, Novel approach to nonlinear/non-Gaussian Bayesian state estimation, IEE
        Proceedings F 140 (1993); Doucet and Johansen, A tutorial on particle filtering and smoothing (2009).
    """
    check_threshold(threshold)
    particles: Weighted[R] | None = None
    for model, observations in steps:
        if particles is None:
            particles = importance_sampling(
                model, observations, num_particles=num_particles, proposal=first_proposal, batched=batched
            )
            continue
        resampled = resample(particles, method=method, threshold=threshold)
        if rejuvenation is not None:
            resampled = rejuvenate(resampled, rejuvenation)
        particles = extend(resampled, model, observations, proposal=proposal)
    if particles is None:
        raise CountError("number of steps", 1, 0)
    return particles
