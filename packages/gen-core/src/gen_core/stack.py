"""Stacking ordinary traces into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from gen_core.batch_errors import BatchStructureError
from gen_core.structure import Apart, Inner, Opaque, Structure, take_apart
from gen_core.trace import Trace
from gen_core.trace_batch import TraceBatch, structure_error

T = TypeVar("T")


def stack(traces: Sequence[Trace[T]]) -> TraceBatch[T]:
    """Return ordinary traces of one structure as a batch; what they share is stored once.

    Raises:
        BatchStructureError: They differ in more than tensors: in their addresses, callees or in
            arguments that are not tensors.
    """
    if not traces:
        raise BatchStructureError("There is no batch of no traces: their structure would be unknown.")
    parts = [take_apart(trace) for trace in traces]
    structure = parts[0].structure
    if all(part.structure == structure for part in parts):
        columns = list(zip(*[part.tensors for part in parts], strict=True))
    else:
        columns = []
        structure = _merge([take_apart(trace, once=False) for trace in traces], traces, columns)
    is_shared = [all(tensor is column[0] for tensor in column) for column in columns]
    stacked = [
        column[0] if shared else torch.stack(column)
        for column, shared in zip(columns, is_shared, strict=True)
    ]
    return TraceBatch(stacked, is_shared, structure, len(traces))


def _merge(
    parts: Sequence[Apart], traces: Sequence[Trace[Any]], columns: list[tuple[Tensor, ...]]
) -> Structure:
    """Return the structure that traces have in common, adding a column for each place of a tensor.

    Python floats that differ become tensors.
    """
    tensors = [part.tensors for part in parts]

    def merge(structures: Sequence[Structure]) -> Structure:
        first = structures[0]
        if all(isinstance(each, int) for each in structures):
            columns.append(tuple(own[each] for own, each in zip(tensors, structures, strict=True)))  # type: ignore[index]
            return len(columns) - 1
        if isinstance(first, Opaque):
            if all(each == first for each in structures):
                return first
            if all(isinstance(each, Opaque) and type(each.value) is float for each in structures):
                columns.append(tuple(torch.tensor(each.value) for each in structures))  # type: ignore[union-attr]
                return len(columns) - 1
        if isinstance(first, Inner):
            inner = [each for each in structures if isinstance(each, Inner) and _are_kin(each, first)]
            if len(inner) == len(structures):
                children = zip(*[each.parts for each in inner], strict=True)
                return Inner(first.kind, first.rest, tuple(merge(each) for each in children))
        position = next(i for i, each in enumerate(structures) if not _are_kin(each, first))
        raise structure_error(traces[0], traces[position], position)

    return merge([part.structure for part in parts])


def _are_kin(one: Structure, other: Structure) -> bool:
    if isinstance(one, Inner) and isinstance(other, Inner):
        return one.kind is other.kind and one.rest == other.rest and len(one.parts) == len(other.parts)
    return type(one) is type(other) and one == other
