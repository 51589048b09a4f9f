"""How tensors lie in memory, for programs that were compiled for one layout of their arguments."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def in_row_major_order(tensor: Tensor) -> Tensor:
    """Return a tensor with the strides that a new one of its shape has; itself if it has them.

    `contiguous()` leaves the strides of dimensions of size 1 as they are, and compilers compare those too.
    """
    stride, strides = 1, []
    for size in reversed(tensor.shape):
        strides.append(stride)
        stride *= max(size, 1)
    if list(tensor.stride()) == strides[::-1]:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def unaliased(tensors: Iterable[Tensor], others: Iterable[Tensor] = ()) -> list[Tensor]:
    """Return tensors of which none shares memory with another or with `others`: copies of those that do."""
    taken = {tensor.untyped_storage()._cdata for tensor in others}
    result = []
    for tensor in tensors:
        storage = tensor.untyped_storage()._cdata
        result.append(tensor.clone() if storage in taken else tensor)
        taken.add(storage)
    return result
