"""How the traces of steps are kept: of many steps, in columns with the steps as first dimension."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from gen_combinators.elements import Elements
from gen_combinators.step_rows import Step, apart
from gen_core import TraceBatch
from gen_core.readable import values_are_readable
from gen_core.structure import Inner, Opaque, Structure

if TYPE_CHECKING:
    from gen_core import Trace

LONG: Final = 512
"""From so many steps on, Python objects for every choice cost more than reading rows does."""


def kept(traces: Sequence[Trace[Any]]) -> Elements[Any]:
    """Return the traces of steps as elements: in columns if there are many of one structure."""
    batch = in_columns(traces) if len(traces) >= LONG else None
    return Elements.of(traces) if batch is None else Elements.batched(batch)


def edited(
    elements: Elements[Any], replaced: dict[int, Trace[Any]], added: Sequence[Trace[Any]]
) -> Elements[Any]:
    """Return the elements with some replaced, and others added at the end."""
    before = len(elements)
    if replaced:
        elements = elements.replaced({step: _held(elements, trace) for step, trace in replaced.items()})
    if added:
        elements = elements.extended(_held(elements, trace) for trace in added)
    # At each doubling, so that all the tries together cost as much as the steps.
    if not elements.is_batched and len(elements) >= LONG and before.bit_length() < len(elements).bit_length():
        return kept(list(elements))
    return elements


def _held(elements: Elements[Any], trace: Trace[Any]) -> Trace[Any] | Step:
    return Step(trace) if elements.is_batched else trace


def in_columns(traces: Iterable[Trace[Any]]) -> TraceBatch[Any] | None:
    """Return traces as a batch, None if they have no common structure or stand in a transform or graph.

    Numbers among the arguments of calls become tensors; everywhere else they must be equal.
    """
    if not values_are_readable():
        return None
    common: Structure | None = None
    columns: list[list[Tensor]] = []
    # One trace at a time, so that what it is taken apart into is gone before the next.
    for trace in traces:
        tensors, structure = apart(trace)
        if common is None:
            common, columns = structure, [[] for _ in tensors]
        elif structure != common:
            return None
        for column, tensor in zip(columns, tensors, strict=True):
            column.append(tensor)
    return None if common is None else _batch(columns, common)


def _batch(columns: list[list[Tensor]], structure: Structure) -> TraceBatch[Any] | None:
    # What is one tensor in each trace becomes one column.
    place_of: dict[tuple[int, ...], int] = {}
    places = [place_of.setdefault(tuple(map(id, column)), len(place_of)) for column in columns]
    distinct = [columns[places.index(place)] for place in range(len(place_of))]
    is_shared = [all(tensor is column[0] for tensor in column) for column in distinct]
    if any(tensor.requires_grad for column in distinct for tensor in column):
        return None
    if not all(map(_are_alike, distinct)):
        return None
    stacked = [
        column[0] if shared else torch.stack(column)
        for column, shared in zip(distinct, is_shared, strict=True)
    ]
    return TraceBatch(stacked, is_shared, _renumbered(structure, places), len(columns[0]))


def _are_alike(column: list[Tensor]) -> bool:
    shape, dtype, device = column[0].shape, column[0].dtype, column[0].device
    return all(
        tensor.shape == shape and tensor.dtype == dtype and tensor.device == device for tensor in column
    )


def _renumbered(structure: Structure, places: list[int]) -> Structure:
    if isinstance(structure, int):
        return places[structure]
    if isinstance(structure, Opaque):
        return structure
    parts = [_renumbered(part, places) for part in structure.parts]
    return Inner(structure.kind, structure.rest, tuple(parts))
