"""Sequential Monte Carlo, step by step: particles that follow a model as it grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from gen_core import (
    EMPTY,
    AddressCollisionError,
    Call,
    ChoiceMap,
    Choices,
    Diff,
    Selection,
    Trace,
    choicemap,
)
from gen_inflib.chain_errors import DrawsError
from gen_inflib.checks import check_threshold
from gen_inflib.counts import check_count
from gen_inflib.kernel import Kernel
from gen_inflib.particles import Crowd, move_crowd
from gen_inflib.proposal import Proposal
from gen_inflib.resampling import Resampler, systematic
from gen_inflib.sequential_errors import DiscardError
from gen_inflib.weighted import Weighted, check_weights, taken, weighted

R = TypeVar("R")


def extend(
    particles: Weighted[Any],
    model: Call[R] | Callable[[Trace[Any]], Call[R]],
    observations: Choices = EMPTY,
    *,
    proposal: Proposal[Any] | None = None,
    backward: Proposal[Any] | None = None,
    argdiffs: Diff | Mapping[str, Diff] | None = None,
) -> Weighted[R]:
    """Move every particle to the model's next arguments and observations.

    A particle's log weight grows by

        weight of trace.update(observations and proposed choices, model)
        - log density of the proposed choices under proposal(trace)
        + log density of the discarded choices under backward(new trace),

    so without proposals, where choices are only added, by the log density of the new observations.

    Args:
        particles: Weighted traces of the model so far.
        model: The same function with its next arguments, or a function of each trace that returns it.
        observations: Values of new choices, or of choices that are replaced.
        proposal: Proposes other choices: new ones, or replacements (see `backward`).
        backward: What would propose the way back, from the new trace. Without it nothing may be replaced
            or removed.
        argdiffs: Hints, as for `Trace.update`.

    Returns:
        The new particles; their evidence is of all observations so far.

    Raises:
        DiscardError: Choices were replaced or removed, and there is no `backward`.
        AddressCollisionError: The proposal proposes what is observed.
        ImpossibleObservationsError: Every particle has probability zero now.
        UndefinedWeightError: A weight is NaN or +inf.

    Source: Del Moral, Doucet and Jasra, Sequential Monte Carlo samplers, JRSS B 68 (2006); with proposals as
        programs, Lew et al., SMCP3, AISTATS (2023).
    """
    given = choicemap(observations)

    def move(trace: Trace[Any]) -> tuple[Trace[Any], Tensor]:
        call = model if isinstance(model, Call) else model(trace)
        choices, score = _proposed(proposal, trace, given)
        updated = trace.update(choices, call, argdiffs=argdiffs)
        return updated.trace, updated.weight - score + _way_back(backward, updated.trace, updated.discard)

    return reweighted(particles, move_crowd(move, particles.traces))


def resample(
    particles: Weighted[R],
    *,
    method: Resampler = systematic,
    threshold: float | None = None,
    num_particles: int | None = None,
    log_priorities: Tensor | None = None,
) -> Weighted[R]:
    """Draw particles in proportion to their weights, which become equal; the evidence stays as it is.

    Args:
        particles: Weighted traces.
        method: How to draw: `systematic`, `stratified`, `residual` or `multinomial`.
        threshold: Resample only where the effective sample size is below this share of the particles,
            between 0 and 1; by default always.
        num_particles: How many there are afterwards; as many as before by default. Another number is a
            reason to resample.
        log_priorities: Draw in proportion to these instead, shape `(num_particles,)`; weights are then
            what is left, w / priority.

    Returns:
        The particles, with `ancestors` if they were resampled.

    Raises:
        CountError: `num_particles` is less than 1.
        ThresholdError: `threshold` is not between 0 and 1.
        DrawsError: `log_priorities` has another shape, is NaN or +inf somewhere, or is -inf for a particle
            that has weight, which then could never be drawn.
    """
    size = len(particles) if num_particles is None else num_particles
    check_count("num_particles", size)
    keeps_size = size == len(particles)
    check_threshold(threshold)
    if keeps_size and threshold is not None and particles.effective_sample_size >= threshold * size:
        return particles
    log_weights = particles.log_weights
    drawn_by = log_weights if log_priorities is None else _checked_priorities(log_priorities, log_weights)
    ancestors = method(drawn_by, size)
    left = log_weights.new_zeros(size)
    if log_priorities is not None:
        left = (log_weights - drawn_by.log_softmax(0))[ancestors]
    return weighted(
        taken(particles.traces, ancestors),
        left,
        log_evidence=particles.log_marginal_likelihood,
        ancestors=ancestors,
        why_looped=particles.why_looped,
    )


def _checked_priorities(log_priorities: Tensor, log_weights: Tensor) -> Tensor:
    if log_priorities.shape != log_weights.shape:
        raise DrawsError(
            f"Expected `log_priorities` of shape {tuple(log_weights.shape)}, a number for each particle, but "
            f"got shape {tuple(log_priorities.shape)}."
        )
    never = (log_priorities == -math.inf) & (log_weights > -math.inf)
    if bool(never.any()):
        raise DrawsError(
            f"The priority of particle {int(never.int().argmax())} is -inf, and it has weight: that it is "
            f"never drawn would bias the evidence. Give it a finite priority."
        )
    return log_priorities.to(log_weights)


def rejuvenate(particles: Weighted[R], kernel: Kernel[R], *, times: int = 1) -> Weighted[R]:
    """Apply a kernel to every particle; weights stay as they are (move-accept).

    Particles without weight, which kernels could not start from, need not move.

    Args:
        particles: Weighted traces.
        kernel: Leaves the current posterior as it is, such as
            `partial(metropolis_hastings, proposal=select("x"))`.
        times: How many times.

    Source: Gilks and Berzuini, Following a moving target, JRSS B 63 (2001).
    """
    check_count("times", times)

    def move(trace: Trace[Any]) -> tuple[Trace[Any], Tensor]:
        for _ in range(times):
            trace, _ = kernel(trace)
        return trace, torch.zeros((), dtype=torch.float64)

    crowd = move_crowd(move, particles.traces, particles.log_weights > -math.inf)
    return Weighted(
        crowd.traces,
        particles.log_weights,
        particles.log_marginal_likelihood,
        particles.ancestors,
        crowd.why_looped or particles.why_looped,
    )


def rejuvenate_and_reweight(
    particles: Weighted[R],
    proposal: Selection | Proposal[Any],
    *,
    backward: Proposal[Any] | None = None,
) -> Weighted[R]:
    """Move every particle without ever rejecting; weights take up what a rejection would correct.

    A particle's log weight grows by the weight of `trace.regenerate(selection)`, or by that of
    `trace.update(proposed choices)` less the log density of the proposed choices, plus that of the
    discarded ones under `backward(new trace)`.

    Args:
        particles: Weighted traces.
        proposal: A selection to draw again, or a proposal of new values.
        backward: Proposes the way back; by default the same as `proposal`.

    Source: Marques and Storvik, Particle move-reweighting strategies for online inference (2013).
    """

    def move(trace: Trace[Any]) -> tuple[Trace[Any], Tensor]:
        if isinstance(proposal, Selection):
            regenerated = trace.regenerate(proposal)
            return regenerated.trace, regenerated.weight
        choices, score = _proposed(proposal, trace, EMPTY)
        updated = trace.update(choices)
        back = _way_back(backward or proposal, updated.trace, updated.discard)
        return updated.trace, updated.weight - score + back

    return reweighted(particles, move_crowd(move, particles.traces))


def reweighted(particles: Weighted[Any], crowd: Crowd) -> Weighted[Any]:
    """Return the traces of a crowd, whose log weights are by how much those of the particles grow."""
    # What had no weight gets none: from an impossible trace, an update's weight may be no number.
    had_weight = particles.log_weights > -math.inf
    growth = torch.where(had_weight, crowd.log_weights, -math.inf)
    check_weights(crowd.traces, growth)
    num_particles = len(particles)
    # Normalised weights sum to 1, and `weighted` takes a mean: hence the number of particles.
    return weighted(
        crowd.traces,
        particles.log_weights + growth + math.log(num_particles),
        log_evidence=particles.log_marginal_likelihood,
        why_looped=crowd.why_looped or particles.why_looped,
    )


def _proposed(
    proposal: Proposal[Any] | None, trace: Trace[Any], observations: ChoiceMap
) -> tuple[ChoiceMap, Tensor | float]:
    if proposal is None:
        return observations, 0.0
    call = proposal(trace)
    choices, score, _ = call.propose()
    try:
        return observations.merge(choices), score
    except AddressCollisionError as error:
        error.add_note(f"One is observed, the other a choice of the proposal {call.gen_fn.name}.")
        raise


def _way_back(backward: Proposal[Any] | None, trace: Trace[Any], discard: ChoiceMap) -> Tensor | float:
    if backward is not None:
        return backward(trace).assess(discard).score
    if not discard.is_empty:
        raise DiscardError(trace.gen_fn.name, discard.paths())
    return 0.0
