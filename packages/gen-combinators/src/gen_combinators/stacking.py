"""Values stacked: tensors and numbers of many values of one structure, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gen_core.structure import Inner, Opaque, assemble, one_level


def stacked(values: Sequence[Any]) -> Any:
    """Return one value whose tensors have `values` as their first dimension, None if they do not stack.

    Numbers become tensors; what is none, such as a string, must be the same in all.
    """
    if not values or values[0] is None:
        return None
    try:
        return _stacked(values)
    except _DoNotStackError:
        return None


class _DoNotStackError(Exception):
    pass


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        layout = (first.shape, first.dtype, first.device)
        if not all(isinstance(v, Tensor) and (v.shape, v.dtype, v.device) == layout for v in values):
            raise _DoNotStackError
        return torch.stack(list(values))
    kind = type(first)
    if kind in _NUMBERS:
        if not all(type(value) is kind for value in values):
            raise _DoNotStackError
        return torch.tensor(values, dtype=None if kind is not int else torch.int64)
    levels = [one_level(value) for value in values]
    structure, parts = levels[0]
    if any(level[0] != structure or len(level[1]) != len(parts) for level in levels):
        raise _DoNotStackError
    if isinstance(structure, Opaque):
        return first
    assert isinstance(structure, Inner)
    places = zip(*[parts for _, parts in levels], strict=True)
    return assemble(structure, [_stacked(parts) for parts in places])


_NUMBERS = (float, int, bool)
