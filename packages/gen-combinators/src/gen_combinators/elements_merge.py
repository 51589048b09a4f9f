"""Elements written into columns: rows of other columns, and traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from gen_combinators.step_rows import Step, as_row
from gen_core import BatchStructureError, stack
from gen_core.columns import Columns

if TYPE_CHECKING:
    from gen_core import Trace


class Row(NamedTuple):
    """An element that is a row of a batch; its trace is made when it is asked for."""

    columns: Columns
    position: int

    def trace(self) -> Any:
        """Return the trace."""
        return self.columns.row(self.position)


def merged(base: Columns, indices: Sequence[int], rows: Columns | None) -> Columns | None:
    """Return `base` with its values at `indices` replaced by those of `rows`; None if structures differ."""
    if rows is None:
        return None
    if base.structure != rows.structure or not _are_alike(base, rows):
        base, rows = base.spread, rows.spread
        if base.structure != rows.structure or not _are_alike(base, rows):
            return None
    tensors, is_shared = [], []
    written: dict[tuple[int, int], Tensor] = {}
    index = torch.as_tensor(indices)
    for k, (old, new) in enumerate(zip(base.tensors, rows.tensors, strict=True)):
        shared = base.is_shared[k] and rows.is_shared[k] and old is new
        is_shared.append(shared)
        key = (id(old), id(new))
        if not shared and key not in written:
            before = old.expand(base.size, *old.shape) if base.is_shared[k] else old
            after = new.expand(rows.size, *new.shape) if rows.is_shared[k] else new
            written[key] = before.index_copy(0, index.to(old.device), after)
        tensors.append(old if shared else written[key])
    return Columns(tensors, is_shared, base.structure, base.size)


def merge_entries(base: Columns, entries: Sequence[tuple[int, Any]]) -> Columns | None:
    """Return columns with traces, rows and steps written into them; None if structures differ."""
    rows: dict[int, tuple[Columns, list[int], list[int]]] = {}
    traces: dict[int, Any] = {}
    for index, entry in entries:
        if type(entry) is Row:
            _, indices, positions = rows.setdefault(id(entry.columns), (entry.columns, [], []))
            indices.append(index)
            positions.append(entry.position)
        elif type(entry) is Step:
            traces[index] = as_row(entry.made)
        else:
            traces[index] = entry
    result: Columns | None = base
    for columns, indices, positions in rows.values():
        if result is not None:
            result = merged(result, indices, columns.gather(torch.tensor(positions)))
    if traces and result is not None:
        result = merged(result, list(traces), _stack(list(traces.values())))
    return result


def _stack(traces: list[Trace[Any]]) -> Columns | None:
    try:
        batch = stack(traces)
    except (BatchStructureError, RuntimeError):  # tensors of different shapes
        return None
    return Columns(batch.columns, batch.is_shared, batch.structure, len(batch))


def _are_alike(base: Columns, rows: Columns) -> bool:
    """Return whether the tensors of one value have the same shape and dtype in both."""
    return all(
        _shape(base, k) == _shape(rows, k) and base.tensors[k].dtype == rows.tensors[k].dtype
        for k in range(len(base.tensors))
    )


def _shape(columns: Columns, k: int) -> torch.Size:
    shape: torch.Size = columns.tensors[k].shape
    return shape if columns.is_shared[k] else shape[1:]
