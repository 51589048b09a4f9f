"""Importance resampling: one trace from a weighted crowd that is never held in memory."""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import Call, Choices, Trace, choicemap
from gen_inflib.accept import accept
from gen_inflib.counts import check_count
from gen_inflib.errors import ImpossibleObservationsError
from gen_inflib.particle import draw_particle

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Resampled(NamedTuple, Generic[R_co]):
    """One trace, approximately from a posterior."""

    trace: Trace[R_co]
    log_marginal_likelihood: Tensor
    """An estimate of log p(observations), shape `()`, in nats; its exponential is unbiased."""


def importance_resampling(
    model: Call[R],
    observations: Choices,
    *,
    num_particles: int,
    proposal: Call[Any] | None = None,
) -> Resampled[R]:
    """Draw particles as `importance_sampling` does, and keep one, in proportion to their weights.

    Particle n replaces the one that is kept with probability w_n / (w_1 + ... + w_n), so memory does not
    grow with `num_particles`.

    Args:
        model: A generative function with its arguments.
        observations: Values of the observed choices, by address.
        num_particles: How many traces to draw.
        proposal: As for `importance_sampling`.

    Raises:
        UnvisitedConstraintsError: The model never visited an address that is observed or proposed.
        AddressCollisionError: The proposal proposes what is observed.
        ImpossibleObservationsError: Every particle has probability zero.
        UndefinedWeightError: The weight of a particle is NaN or +inf.

    Source: Chao, A general purpose unequal probability sampling plan, Biometrika 69 (1982).
    """
    check_count("num_particles", num_particles)
    given = choicemap(observations)
    kept: Trace[R] | None = None
    log_total = torch.full((), -math.inf, dtype=torch.float64)
    # A graph over all particles would be memory that grows.
    with torch.no_grad():
        for _ in range(num_particles):
            trace, weight = draw_particle(model, given, proposal)
            log_total = torch.logaddexp(log_total, weight)
            if weight > -math.inf and accept(weight - log_total):
                kept = trace
    if kept is None:
        raise ImpossibleObservationsError(model.gen_fn.name, num_particles)
    return Resampled(kept, log_total - math.log(num_particles))
