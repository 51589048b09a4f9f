"""Annealed sequential Monte Carlo: from prior to posterior through powers of the likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from gen_core import Call, Choices, TraceBatch, batch, choicemap
from gen_inflib.annealed_move import CompiledMove, compiled_move, moved_at
from gen_inflib.calls import check_call
from gen_inflib.checks import check_threshold
from gen_inflib.counts import check_count
from gen_inflib.importance import check_options, importance_sampling
from gen_inflib.kernel import Kernel
from gen_inflib.particles import Crowd
from gen_inflib.resampling import Resampler, systematic
from gen_inflib.sequential import rejuvenate, resample, reweighted
from gen_inflib.sequential_errors import PowersError
from gen_inflib.tempered import Tempered
from gen_inflib.weighted import Weighted

R = TypeVar("R")

NUM_BISECTIONS = 40


def annealed_smc(
    model: Call[R],
    observations: Choices,
    kernel: Kernel[R],
    *,
    num_particles: int,
    powers: Sequence[float] | None = None,
    threshold: float = 0.5,
    num_moves: int = 1,
    method: Resampler = systematic,
    batched: bool | None = None,
    compile: bool = False,
) -> Weighted[R]:
    """Move particles from the prior to the posterior through p(t) p(observations | t)^power.

    From power b to b' a particle's log weight grows by (b' - b) times its log likelihood; then particles are
    resampled where their effective sample size is below the threshold, and `kernel` moves each of them under
    the new power.

    Args:
        model: A generative function with its arguments.
        observations: Values of the observed choices.
        kernel: Leaves the distribution of any trace of this model as it is, such as
            `partial(metropolis_hastings, proposal=select("x"))`.
        num_particles: How many particles.
        powers: Increasing, from above 0 to 1. By default each is as large as keeps the effective sample size
            at the threshold.
        threshold: A share of the particles, between 0 and 1; less than 1 where it decides the powers.
        num_moves: How often the kernel is applied at each power.
        method: The resampler.
        batched: As for `importance_sampling`.
        compile: Whether to compile what is done to the particles at a power, through gen-torch; one program
            serves all powers and later runs with the same kernel. The same seed gives the same numbers, but
            that machine code rounds otherwise, and may draw those of a move in another order.

    Returns:
        Traces of the model with their weights, and the evidence.

    Raises:
        ModelError: `model` is no call of a generative function.
        PowersError: The powers do not increase from above 0 to 1.
        ThresholdError: `threshold` is no such share.
        CountError: A count is less than 1.
        ImpossibleObservationsError: Every particle has likelihood zero.
        NotBatchableError: `batched` or `compile` was asked for, and the model or, compiled, the kernel does
            not allow it.
        BatchStructureError: Compiled, the kernel changes the structure of traces.
        OptionsError: Both compile=True and batched=False were given.

    Source: Neal, Annealed importance sampling, Statistics and Computing 11 (2001); Del Moral, Doucet and
        Jasra, Sequential Monte Carlo samplers, JRSS B 68 (2006), and for the choice of powers their An
        adaptive sequential Monte Carlo method, Statistics and Computing 22 (2012).
    """
    check_call(model)
    _check_powers(powers)
    # No power but the last keeps the effective sample size at that of equal weights.
    check_threshold(threshold, is_open=powers is None)
    check_count("num_moves", num_moves)
    check_options(compile, batched)
    given = choicemap(observations)
    tempered = Tempered(model.gen_fn, given.addresses())
    start = _at(tempered, model, 0.0)
    # A program is made for tensors without gradients.
    with torch.set_grad_enabled(torch.is_grad_enabled() and not compile):
        particles: Weighted[R] = importance_sampling(
            start, given, num_particles=num_particles, batched=compile or batched
        )
        program = compiled_move(particles.traces, kernel, num_moves) if compile else None
        left = list(powers) if powers is not None else None
        power = 0.0
        while power < 1:
            before = power
            power = left.pop(0) if left is not None else _next_power(particles, power, threshold)
            particles = _raised(particles, power - before)
            particles = resample(particles, method=method, threshold=threshold)
            particles = _moved(particles, _at(tempered, model, power), kernel, num_moves, program)
        return _unwrapped(particles)


def _at(tempered: Tempered[R], model: Call[R], power: float) -> Call[R]:
    # A tensor: traces of different powers have one structure.
    return Call(tempered, (torch.tensor(power, dtype=torch.float64), *model.args), model.kwargs)


def _raised(particles: Weighted[R], step: float) -> Weighted[R]:
    """Return the particles with the weights of a power that is larger by `step`; traces stay as they are."""
    likelihoods = _likelihoods(particles).detach().to(particles.log_weights)
    return reweighted(particles, Crowd(particles.traces, step * likelihoods))


def _moved(
    particles: Weighted[R], call: Call[R], kernel: Kernel[R], num_moves: int, program: CompiledMove | None
) -> Weighted[R]:
    """Return the particles at the power of a call, where the kernel has moved them."""
    if program is None:
        move = partial(moved_at, call=call, kernel=kernel, num_moves=num_moves)
        return rejuvenate(particles, lambda trace: (move(trace), None))
    traces: Any = program(particles.traces, call.args[0])
    return replace(particles, traces=traces)


def _next_power(particles: Weighted[Any], power: float, threshold: float) -> float:
    """Return the largest power that keeps the effective sample size at the threshold."""
    likelihoods = _likelihoods(particles)
    if _sample_size(particles, likelihoods, 1 - power) >= threshold * len(particles):
        return 1.0
    low, high = 0.0, 1 - power
    for _ in range(NUM_BISECTIONS):
        middle = 0.5 * (low + high)
        enough = _sample_size(particles, likelihoods, middle) >= threshold * len(particles)
        low, high = (middle, high) if enough else (low, middle)
    return power + high


def _sample_size(particles: Weighted[Any], likelihoods: Tensor, step: float) -> float:
    # Zero times an infinite log likelihood is no number.
    grown = torch.where(likelihoods == -math.inf, -math.inf, step * likelihoods)
    log_weights = (particles.log_weights + grown).log_softmax(0)
    return float((-(2 * log_weights).logsumexp(0)).exp())


def _likelihoods(particles: Weighted[Any]) -> Tensor:
    traces: Any = particles.traces
    if isinstance(traces, TraceBatch):
        likelihoods: Tensor = batch(lambda trace: trace.likelihood)(traces)
        return likelihoods
    return torch.stack([trace.likelihood for trace in traces])


def _unwrapped(particles: Weighted[Any]) -> Weighted[Any]:
    traces: Any = particles.traces
    inner = (
        batch(lambda trace: trace.inner)(traces)
        if isinstance(traces, TraceBatch)
        else tuple(trace.inner for trace in traces)
    )
    return Weighted(
        inner,
        particles.log_weights,
        particles.log_marginal_likelihood,
        particles.ancestors,
        particles.why_looped,
    )


def _check_powers(powers: Sequence[float] | None) -> None:
    if powers is None:
        return
    every = [0.0, *powers]
    increases = all(a < b for a, b in pairwise(every))
    if not powers or not increases or every[-1] != 1:
        raise PowersError(powers)
