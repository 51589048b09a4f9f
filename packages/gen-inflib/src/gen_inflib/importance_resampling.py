"""Importance resampling: one trace from a weighted crowd that is never held in memory as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import Call, ChoiceMap, Choices, Trace, choicemap
from gen_inflib.accept import accept
from gen_inflib.calls import check_call
from gen_inflib.counts import check_count
from gen_inflib.errors import ImpossibleObservationsError
from gen_inflib.importance import check_options, draw_compiled
from gen_inflib.particle import draw_particle
from gen_inflib.particles import REFUSALS, Crowd, draw_crowd, tried
from gen_inflib.resampling import multinomial
from gen_inflib.weighted import check_weights

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

MOST_AT_ONCE = 1000
"""So many particles are drawn in one batch: more are hardly faster, and memory must not grow with them."""


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
    batched: bool | None = None,
    compile: bool = False,
) -> Resampled[R]:
    """Draw particles as `importance_sampling` does, and keep one, in proportion to their weights.

    Particles come in crowds, the batches, of up to a thousand, or of one where they cannot be batched. With
    W_n the sum of the weights of crowd n, a trace of it, drawn in proportion to its weights, replaces the one
    that is kept with probability W_n / (W_1 + ... + W_n). So memory does not grow with `num_particles`.

    Args:
        model: A generative function with its arguments.
        observations: Values of the observed choices, by address.
        num_particles: How many traces to draw.
        proposal: As for `importance_sampling`.
        batched: As for `importance_sampling`.
        compile: As for `importance_sampling`.

    Raises:
        ModelError: `model` is no call of a generative function.
        UnvisitedConstraintsError: The model never visited an address that is observed or proposed.
        AddressCollisionError: The proposal proposes what is observed.
        ImpossibleObservationsError: Every particle has probability zero.
        UndefinedWeightError: The weight of a particle is NaN or +inf.
        NotBatchableError: `batched` or `compile` was asked for, and the model does not allow it.
        OptionsError: Both compile=True and batched=False were given.

    Source: Chao, A general purpose unequal probability sampling plan, Biometrika 69 (1982).
    """
    check_call(model)
    check_count("num_particles", num_particles)
    check_options(compile, batched)
    given = choicemap(observations)
    kept: Trace[R] | None = None
    log_total = torch.full((), -math.inf, dtype=torch.float64)
    # A graph over all particles would be memory that grows.
    with torch.no_grad():
        for traces, log_weights, _ in _crowds(model, given, proposal, num_particles, batched, compile):
            check_weights(traces, log_weights)
            log_here = log_weights.logsumexp(0)
            log_total = torch.logaddexp(log_total.to(log_here), log_here)
            if log_here > -math.inf and accept(log_here - log_total):
                kept = traces[_one_of(log_weights)]
    if kept is None:
        raise ImpossibleObservationsError(model.gen_fn.name, num_particles)
    return Resampled(kept, log_total - math.log(num_particles))


def _crowds(
    model: Call[R],
    observations: ChoiceMap,
    proposal: Call[Any] | None,
    num_particles: int,
    batched: bool | None,
    compile: bool,
) -> Iterator[Crowd]:
    """Yield particles: in batches, or one by one where that is asked for or all that is possible."""

    def draw() -> tuple[Trace[R], Tensor]:
        return draw_particle(model, observations, proposal)

    def at_once(size: int) -> Crowd:
        if compile:
            return draw_compiled(model, observations, proposal, size)
        return tried(lambda: draw_crowd(draw, size, True))

    left = num_particles
    while left and batched is not False:
        size = min(left, MOST_AT_ONCE)
        try:
            crowd = at_once(size)
        except REFUSALS:
            if batched or compile:
                raise
            break
        yield crowd
        left -= size
    for _ in range(left):
        trace, log_weight = draw()
        yield Crowd((trace,), log_weight.reshape(1))


def _one_of(log_weights: Tensor) -> int:
    return int(multinomial(log_weights, 1)) if len(log_weights) > 1 else 0
