"""How the traces of steps are kept: of many steps, in columns with the steps as first dimension."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from gen_combinators.elements import Elements
from gen_core import Call, TraceBatch
from gen_core.readable import outside_transforms, values_are_readable
from gen_core.structure import Apart, Inner, Opaque, Structure, put_together, take_apart

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
    if elements.is_batched:
        replaced = {step: as_row(trace) for step, trace in replaced.items()}
        added = [as_row(trace) for trace in added]
    before = len(elements)
    if replaced:
        elements = elements.replaced(replaced)
    if added:
        elements = elements.extended(added)
    # At each doubling, so that all the tries together cost as much as the steps.
    if not elements.is_batched and len(elements) >= LONG and before.bit_length() < len(elements).bit_length():
        return kept(list(elements))
    return elements


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
        tensors, structure = _apart(trace)
        if common is None:
            common, columns = structure, [[] for _ in tensors]
        elif structure != common:
            return None
        for column, tensor in zip(columns, tensors, strict=True):
            column.append(tensor)
    return None if common is None else _batch(columns, common)


def as_row(trace: Trace[Any]) -> Any:
    """Return a trace with tensors in place of the numbers among the arguments of calls.

    The number of a step is one of these, so that steps have one structure.
    """
    return put_together(*_apart(trace))


def _apart(trace: Trace[Any]) -> Apart:
    tensors, structure = take_apart(trace, once=False)
    found: list[Any] = []
    return Apart(found, _numbered(structure, tensors, found, in_call=False))


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


def _numbered(structure: Structure, tensors: list[Any], found: list[Any], *, in_call: bool) -> Structure:
    """Add the tensors of a structure, and those in place of its numbers, to `found`, in order."""
    if isinstance(structure, int):
        found.append(tensors[structure])
        return len(found) - 1
    if isinstance(structure, Opaque):
        value = structure.value
        if not in_call or type(value) not in (int, float):
            return structure
        found.append(_tensor(value, torch.int64 if type(value) is int else torch.get_default_dtype()))
        return len(found) - 1
    is_call = structure.kind is Call  # of which the first part is the function
    parts = [
        _numbered(part, tensors, found, in_call=in_call or (is_call and place > 0))
        for place, part in enumerate(structure.parts)
    ]
    return Inner(structure.kind, structure.rest, tuple(parts))


def _tensor(value: float, dtype: torch.dtype) -> Tensor:
    # A program that is staged makes its own.
    return _shared_tensor(value, dtype) if values_are_readable() else torch.tensor(value, dtype=dtype)


@lru_cache(maxsize=4096)
def _shared_tensor(value: float, dtype: torch.dtype) -> Tensor:
    """Return a number as a tensor; equal ones are one object, which is stored once."""
    with outside_transforms():
        return torch.tensor(value, dtype=dtype)
