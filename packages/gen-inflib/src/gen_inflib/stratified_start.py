"""Stratified initialisation: an equal share of the particles for each of several constraints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch

from gen_core import Call, Choices, TraceBatch, choicemap, stack
from gen_core.batch_errors import BatchStructureError
from gen_inflib.counts import check_count
from gen_inflib.particle import draw_particle
from gen_inflib.particles import draw_crowd
from gen_inflib.sequential_errors import StrataError
from gen_inflib.weighted import Weighted, weighted

R = TypeVar("R")


def stratified_start(
    model: Call[R], observations: Choices, *, num_particles: int, strata: Sequence[Choices]
) -> Weighted[R]:
    """Draw particles under the observations, so many for each stratum.

    A stratum constrains further choices, and together the strata cover what these can be, each possibility
    once. Of n particles, n_s are drawn in stratum s, and weigh

        log w = weight of model.generate(observations, stratum) + log(n / n_s).

    Args:
        model: A generative function with its arguments.
        observations: Values of the observed choices.
        num_particles: How many, at least one for each stratum.
        strata: Values of discrete choices, such as `[{"z": 0}, {"z": 1}]`.

    Raises:
        StrataError: There are none, or more than particles.
        ImpossibleObservationsError: Every particle has probability zero.

    Source: Owen, Monte Carlo theory, methods and examples (2013), chapter 8.
    """
    check_count("num_particles", num_particles)
    if not strata or len(strata) > num_particles:
        raise StrataError(len(strata), num_particles)
    given = choicemap(observations)
    shares = [len(range(s, num_particles, len(strata))) for s in range(len(strata))]
    crowds = []
    for stratum, share in zip(strata, shares, strict=True):
        constraints = given.merge(choicemap(stratum))
        crowd = draw_crowd(lambda c=constraints: draw_particle(model, c, None), share, None)  # type: ignore[misc]
        crowds.append((crowd, math.log(num_particles / share)))
    log_weights = torch.cat([crowd.log_weights + correction for crowd, correction in crowds])
    traces = tuple(trace for crowd, _ in crowds for trace in crowd.traces)
    reasons = [crowd.why_looped for crowd, _ in crowds if crowd.why_looped]
    if all(isinstance(crowd.traces, TraceBatch) for crowd, _ in crowds):
        try:
            return weighted(stack(traces), log_weights)
        except BatchStructureError as refusal:
            reasons = [str(refusal)]
    return weighted(traces, log_weights, why_looped=reasons[0] if reasons else None)
