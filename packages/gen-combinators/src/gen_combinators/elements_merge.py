"""Writing rows into columns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gen_core.columns import Columns


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


def _are_alike(base: Columns, rows: Columns) -> bool:
    """Return whether the tensors of one value have the same shape and dtype in both."""
    return all(
        _shape(base, k) == _shape(rows, k) and base.tensors[k].dtype == rows.tensors[k].dtype
        for k in range(len(base.tensors))
    )


def _shape(columns: Columns, k: int) -> torch.Size:
    shape: torch.Size = columns.tensors[k].shape
    return shape if columns.is_shared[k] else shape[1:]
