"""Choosing between two traces, or two batches, element by element: accept or reject."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import torch
from torch import Tensor

from gen_core.batch_errors import BatchStructureError
from gen_core.structure import put_together, take_apart
from gen_core.trace import Trace
from gen_core.trace_batch import TraceBatch, structure_error

T = TypeVar("T")


@overload
def choose(condition: Tensor, accepted: Trace[T], rejected: Trace[T]) -> Trace[T]: ...
@overload
def choose(condition: Tensor, accepted: TraceBatch[T], rejected: TraceBatch[T]) -> TraceBatch[T]: ...
def choose(condition: Tensor, accepted: Any, rejected: Any) -> Any:
    """Return `accepted` where `condition` holds, else `rejected`: one trace, or one for each of a batch.

    Python never asks for the condition's value, so that a step of Metropolis-Hastings batches and stages.

    Args:
        condition: Booleans, shape `()` for traces, `(n,)` for batches of n.
        accepted: A trace, or a batch of n traces.
        rejected: Another of the same structure.

    Raises:
        BatchStructureError: They differ in size or structure.
    """
    if isinstance(accepted, TraceBatch):
        return _choose_each(condition, accepted, rejected)
    if condition.dim():
        raise BatchStructureError(
            f"Expected a condition of shape () for traces, but got shape {tuple(condition.shape)}."
        )
    yes, no = take_apart(accepted, once=False), take_apart(rejected, once=False)
    if yes.structure != no.structure:
        raise structure_error(accepted, rejected, 1)
    pairs = zip(yes.tensors, no.tensors, strict=True)
    return put_together([a if a is b else torch.where(condition, a, b) for a, b in pairs], yes.structure)


def _choose_each(condition: Tensor, accepted: TraceBatch[T], rejected: TraceBatch[T]) -> TraceBatch[T]:
    size = len(accepted)
    if len(rejected) != size or condition.shape != (size,):
        raise BatchStructureError(
            f"Expected a condition of shape ({size},) and two batches of {size} traces, but got shape "
            f"{tuple(condition.shape)} and a batch of {len(rejected)}."
        )
    if accepted.structure != rejected.structure:
        accepted, rejected = accepted.spread(), rejected.spread()
    if accepted.structure != rejected.structure:
        raise structure_error(accepted.wide, rejected.wide, 1)
    columns, is_shared = [], []
    sides = zip(accepted.columns, accepted.is_shared, rejected.columns, rejected.is_shared, strict=True)
    for yes, yes_shared, no, no_shared in sides:
        shared = yes_shared and no_shared and yes is no
        is_shared.append(shared)
        columns.append(yes if shared else _columns_where(condition, yes, yes_shared, no))
    return TraceBatch(columns, is_shared, accepted.structure, size)


def _columns_where(condition: Tensor, yes: Tensor, yes_shared: bool, no: Tensor) -> Tensor:
    if yes is no:
        return yes
    dims = yes.dim() - (0 if yes_shared else 1)
    return torch.where(condition.reshape(-1, *[1] * dims), yes, no)
