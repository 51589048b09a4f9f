"""Where chains start: at traces that agree with the observations and are possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gen_core import Call, ChoiceMap, Choices, Trace, TraceBatch, batch, choicemap, choose, stack
from gen_core.address import show
from gen_inflib.chain_errors import StartError
from gen_inflib.chains import Chains
from gen_inflib.errors import UndefinedWeightError

Start: TypeAlias = "Chains[Any] | TraceBatch[Any] | Sequence[Trace[Any]] | Trace[Any] | Choices"
"""Chains to go on from, a trace for each chain, one trace for all, or values of some choices."""

NUM_TRIES = 100
"""How many traces are generated for a chain before none is found possible."""


def count_of(init: Start | None, num_chains: int | None) -> int:
    """Return the number of chains: as told, or as many as `init` holds, or 1.

    Raises:
        StartError: `init` holds another number of traces.
    """
    if isinstance(init, Chains):
        found: int | None = init.num_chains
    else:
        found = len(init) if isinstance(init, TraceBatch | Sequence) else None
    if found is None:
        return 1 if num_chains is None else num_chains
    if num_chains not in (None, found):
        raise StartError(f"`init` holds {found} traces, but num_chains is {num_chains}")
    if not found:
        raise StartError("`init` holds no trace")
    return found


def batched_start(
    model: Call[Any], observations: ChoiceMap, init: Start | None, num_chains: int
) -> TraceBatch[Any]:
    """Return a batch of possible traces.

    Raises:
        StartError: No possible trace was found, or those given are not, or contradict the observations.
        BatchStructureError: The given traces differ in structure.
        NotBatchableError: The model cannot be batched.
    """
    given = _given(init)
    if isinstance(given, TraceBatch):
        _check_observed(given.choices, observations)
        _check_possible(given.score, model)
        return given
    if isinstance(given, Sequence):
        return batched_start(model, observations, stack(given), num_chains)
    if isinstance(given, Trace):
        return batched_start(model, observations, stack([given] * num_chains), num_chains)
    constraints = _constraints(observations, given)
    generate = batch(lambda: model.generate(constraints).trace, size=num_chains)
    traces: TraceBatch[Any] = generate()
    for _ in range(NUM_TRIES):
        impossible = traces.score == -math.inf
        if not impossible.any():
            break
        traces = choose(impossible, generate(), traces)
    _check_possible(traces.score, model)
    return traces


def looped_start(
    model: Call[Any], observations: ChoiceMap, init: Start | None, num_chains: int
) -> tuple[Trace[Any], ...]:
    """Return possible traces; raises as `batched_start` does, but for batching."""
    given = _given(init)
    if isinstance(given, Trace):
        given = [given] * num_chains
    if isinstance(given, TraceBatch | Sequence):
        traces = tuple(given)
        for trace in traces:
            _check_observed(trace.choices, observations)
    else:
        constraints = _constraints(observations, given)
        traces = tuple(_possible(model, constraints) for _ in range(num_chains))
    for trace in traces:
        _check_possible(trace.score, model)
    return traces


def _given(init: Start | None) -> Any:
    return init.last if isinstance(init, Chains) else init


def _constraints(observations: ChoiceMap, init: Choices | None) -> ChoiceMap:
    return observations if init is None else observations.merge(choicemap(init))


def _possible(model: Call[Any], constraints: ChoiceMap) -> Trace[Any]:
    trace = model.generate(constraints).trace
    for _ in range(NUM_TRIES):
        if float(trace.score) != -math.inf:
            break
        trace = model.generate(constraints).trace
    return trace


def _check_possible(score: Tensor, model: Call[Any]) -> None:
    name = model.gen_fn.name
    if bool(score.isnan().any()):
        raise UndefinedWeightError("The score of a first trace", name, math.nan, {"score": math.nan})
    if bool((score == -math.inf).any()):
        raise StartError(
            f"{NUM_TRIES} traces of {name} that agree with the observations have probability zero. Check the "
            f"observed values against their supports, or give `init` values or traces that are possible"
        )


def _check_observed(choices: ChoiceMap, observations: ChoiceMap) -> None:
    for path, observed in observations.leaves():
        if path not in choices:
            raise StartError(f"the trace in `init` has no choice at {show(path)}, which is observed")
        if not _agree(choices[path], observed):
            raise StartError(
                f"the trace in `init` has another value at {show(path)} than what is observed there. "
                f"Make it by model.generate(observations)"
            )


def _agree(value: Any, observed: Any) -> bool:
    """Return whether a value, or each of a batch of them, is the observed one, up to conversion."""
    if not isinstance(value, Tensor):
        return bool(value == observed)
    return bool((torch.as_tensor(observed).to(value) == value).all())
