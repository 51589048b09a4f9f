"""The particle filter of a sequence function, such as an `Unfold`: one run of the kernel a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from gen_core import Call, ChoiceMap, Choices, GenerativeFunction, batch, choicemap, rooms
from gen_core.judge import judge_constraints
from gen_core.sequence import SequenceFunction
from gen_core.structure import put_together, take_apart
from gen_inflib.calls import check_call
from gen_inflib.checks import check_threshold
from gen_inflib.compiling import compiled
from gen_inflib.counts import check_count
from gen_inflib.errors import UndefinedWeightError
from gen_inflib.filtered import Filtered, Past
from gen_inflib.resampling import Resampler, systematic
from gen_inflib.sequential_errors import ImpossibleStepError, SequenceError, VaryingStepsError

R = TypeVar("R")

StepProposal: TypeAlias = Callable[[Any, Any], Call[Any]]
"""From the step's number and what was carried into it to a call that proposes choices of the kernel."""


def sequence_filter(
    model: Call[R],
    observations: Choices,
    *,
    num_particles: int,
    proposal: StepProposal | None = None,
    method: Resampler = systematic,
    threshold: float | None = 0.5,
    collect: Callable[[Any], Any] | None = None,
    keep_history: bool = True,
    compile: bool = False,
) -> Filtered[R]:
    """Follow the posterior of a sequence model: bootstrap or guided particle filter.

    At each step particles are resampled where their effective sample size has fallen, and one run of the
    kernel extends all of them in a batch. The log weight of a particle grows by

        generate weight of the kernel under the step's observations and proposed choices
        - log density of the proposed choices.

    Args:
        model: A call of a sequence function: `Unfold(kernel)(length, initial_state, *params)`. The kernel
            must be batchable.
        observations: Values by address, `(t, ...)`.
        num_particles: How many particles.
        proposal: Proposes choices of the kernel that are not observed; by default its own proposal.
        method: The resampler.
        threshold: The share of the particles below which the effective sample size is too small; 1
            or None resamples at every step.
        collect: A function of what a step carries on, whose weighted mean is kept for every step.
        keep_history: Whether to keep what `Filtered.particles` needs: the choices and ancestors of all
            steps.
        compile: Whether to compile the filter, through gen-torch, into one loop. Every step must then
            observe the same addresses. The same seed gives the same numbers.

    Raises:
        ModelError: `model` is no call of a generative function.
        SequenceError: `model` is no call of a sequence function.
        UnvisitedConstraintsError: A step does not visit an address that is observed.
        ImpossibleStepError: At a step every particle has probability zero; names it.
        UndefinedWeightError: A weight is NaN or +inf.
        ThresholdError: `threshold` is not between 0 and 1.
        NotBatchableError: The kernel cannot be batched: use `particle_filter`.

    Source: Gordon, Salmond and Smith, IEE Proceedings F 140 (1993); Doucet and Johansen, A tutorial on
        particle filtering and smoothing (2009).
    """
    check_call(model)
    check_count("num_particles", num_particles)
    function = model.gen_fn
    if not isinstance(function, SequenceFunction):
        raise SequenceError(function.name)
    length = function.length(model)
    check_count("number of steps", length)
    given = choicemap(observations)
    _check_steps(given, length)
    check_threshold(threshold)
    share = 1.0 if threshold is None else threshold
    settings = Settings(num_particles, proposal, method, share, collect, keep_history)
    rows = [given.child(step) for step in range(length)]
    if compile:
        stacked = _stacked_rows(rows)
        run: Any = _program(function, settings, length)(model.args, dict(model.kwargs), stacked)
    else:
        run = _run(model, settings, rows)
    _check(run, model)
    last, pasts = run
    return Filtered(
        model=model,
        observations=given,
        log_weights=last.log_weights,
        log_marginal_likelihood=last.log_evidence,
        state=last.carry,
        effective_sample_sizes=torch.stack([past.effective_sample_size for past in pasts]),
        collected=_stack([past.collected for past in pasts]),
        pasts=tuple(pasts) if keep_history else (),
    )


class Settings(NamedTuple):
    """What does not change from step to step."""

    num_particles: int
    proposal: StepProposal | None
    method: Resampler
    threshold: float
    collect: Callable[[Any], Any] | None
    keep_history: bool


class State(NamedTuple):
    """Particles between two steps; tensors have the particles as first dimension."""

    carry: Any
    log_weights: Tensor
    """Normalised."""
    weights: Tensor
    """Their exponentials, up to a factor."""
    effective_sample_size: Tensor
    log_evidence: Tensor


def _run(model: Call[Any], settings: Settings, rows: list[ChoiceMap]) -> tuple[State, list[Past]]:
    state, past = _first(model, settings, rows[0])
    pasts = [past]
    for step, row in enumerate(rows[1:], 1):
        state, past = _next(model, settings, state, step, row)
        pasts.append(past)
    return state, pasts


def _first(model: Call[Any], settings: Settings, row: ChoiceMap) -> tuple[State, Past]:
    function: Any = model.gen_fn
    num = settings.num_particles
    start = function.start(model)
    drawn = batch(lambda: _draw(model, settings, 0, start, row), size=num)()
    even = drawn.log_weight.new_full((num,), -math.log(num))
    return _weighed(settings, drawn, even, drawn.log_weight.new_zeros(()), None)


def _next(
    model: Call[Any], settings: Settings, state: State, step: int | Tensor, row: ChoiceMap
) -> tuple[State, Past]:
    carry, log_weights, ancestors = _resampled(settings, state)
    drawn = batch(lambda carry: _draw(model, settings, step, carry, row), size=settings.num_particles)(carry)
    return _weighed(settings, drawn, log_weights, state.log_evidence, ancestors)


class _Drawn(NamedTuple):
    carry: Any
    log_weight: Tensor
    choices: Any


def _draw(model: Call[Any], settings: Settings, step: int | Tensor, carry: Any, row: ChoiceMap) -> _Drawn:
    """Extend one particle."""
    function: Any = model.gen_fn
    call = function.step_call(model, step, carry)
    constraints, score = row, torch.zeros((), dtype=torch.float64)
    if settings.proposal is not None:
        proposed, score, _ = settings.proposal(step, carry).propose()
        constraints = row.merge(proposed)
    trace, weight = rooms.generate(call, constraints)
    judge_constraints(constraints, trace)
    choices = trace.choices.filter(~row.addresses()) if settings.keep_history else None
    return _Drawn(function.carry(trace.retval), weight - score, choices)


def _resampled(settings: Settings, state: State) -> tuple[Any, Tensor, Tensor]:
    """Return what particles carry and weigh after resampling, and where each was before.

    The choice to resample is made without asking Python, and uniform numbers are drawn either way, so that
    a compiled filter draws the same numbers.
    """
    num = settings.num_particles
    own = torch.arange(num, device=state.log_weights.device)
    drawn = settings.method.of_weights(state.weights, num)
    if settings.threshold >= 1:
        ancestors, log_weights = drawn, torch.full_like(state.log_weights, -math.log(num))
    else:
        falls = state.effective_sample_size < settings.threshold * num
        ancestors = torch.where(falls, drawn, own)
        log_weights = torch.where(falls, -math.log(num), state.log_weights)
    tensors, structure = take_apart(state.carry)
    carry = put_together([tensor.index_select(0, ancestors) for tensor in tensors], structure)
    return carry, log_weights, ancestors


def _weighed(
    settings: Settings, drawn: Any, log_weights: Tensor, log_evidence: Tensor, ancestors: Tensor | None
) -> tuple[State, Past]:
    unnormalised = log_weights + drawn.log_weight
    largest = unnormalised.amax()
    largest = torch.where(largest == -math.inf, 0.0, largest)
    # One pass of exponentials, in the dtype of the model; only sums need more.
    weights = (unnormalised - largest).to(torch.get_default_dtype()).exp()
    total = weights.sum(dtype=torch.float64)
    size = total.square() / weights.square().sum(dtype=torch.float64)
    log_total = total.log() + largest
    state = State(drawn.carry, unnormalised - log_total, weights, size, log_evidence + log_total)
    if ancestors is None:
        ancestors = torch.arange(len(log_weights), device=log_weights.device)
    collected = (
        _mean(settings.collect(drawn.carry), weights / total) if settings.collect is not None else None
    )
    kept = ancestors if settings.keep_history else None
    return state, Past(drawn.choices, kept, size, collected, log_total)


def _mean(values: Any, weights: Tensor) -> Any:
    tensors, structure = take_apart(values)
    return put_together([torch.tensordot(weights.to(t), t, 1) for t in tensors], structure)


@lru_cache(maxsize=32)
def _program(function: GenerativeFunction[..., Any], settings: Settings, length: int) -> Any:
    """Return the whole filter as one compiled program."""

    def run(args: Any, kwargs: Any, rows: Any) -> tuple[State, list[Past]]:
        from gen_torch import scan

        model = Call(function, args, kwargs)
        tensors, structure = take_apart(rows)

        def body(state: State, each: Any) -> tuple[State, Past]:
            step, row = each
            return _next(model, settings, state, step, put_together(row, structure))

        state, past = _first(model, settings, put_together([column[0] for column in tensors], structure))
        if length == 1:
            return state, [past]
        steps = torch.arange(1, length)
        last, stacked = scan(body, state, (steps, [column[1:] for column in tensors]))
        columns, inner = take_apart(stacked, once=False)
        rest = [put_together([column[i] for column in columns], inner) for i in range(length - 1)]
        return last, [past, *rest]

    return compiled(run, "sequence_filter(compile=True)")


def _stacked_rows(rows: list[ChoiceMap]) -> ChoiceMap:
    parts = [take_apart(row.map(torch.as_tensor), once=False) for row in rows]
    if any(part.structure != parts[0].structure for part in parts):
        raise VaryingStepsError()
    columns = [torch.stack(column) for column in zip(*[part.tensors for part in parts], strict=True)]
    stacked: ChoiceMap = put_together(columns, parts[0].structure)
    return stacked


def _stack(values: list[Any]) -> Any:
    columns, structures = zip(*[take_apart(value, once=False) for value in values], strict=True)
    return put_together([torch.stack(column) for column in zip(*columns, strict=True)], structures[0])


def _check_steps(observations: ChoiceMap, length: int) -> None:
    outside = [key for key in observations.child_keys() if key not in range(length)]
    if outside:
        raise SequenceError.outside(outside[0], length)


def _check(run: tuple[State, list[Past]], model: Call[Any]) -> None:
    totals = torch.stack([past.log_total for past in run[1]]).tolist()
    for step, log_total in enumerate(totals):
        if log_total == -math.inf:
            raise ImpossibleStepError(model.gen_fn.name, step)
        if not math.isfinite(log_total):
            parts = {"step": float(step)}
            raise UndefinedWeightError("The total weight of particles", model.gen_fn.name, log_total, parts)
