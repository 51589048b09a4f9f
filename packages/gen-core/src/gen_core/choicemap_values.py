"""The values of choices, compared with each other and laid out in one vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from numbers import Number

import numpy as np
import torch
from torch import Tensor

from gen_core.address import Path
from gen_core.address_errors import NotFloatingPointError, VectorLengthError
from gen_core.choicemap_text import describe


def same_value(left: object, right: object) -> bool:
    """Whether two values are equal: tensors in shape, dtype, device and elements.

    A tensor of shape `()` equals a Python number if its `item()` does.
    """
    if left is right:
        return True
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _kind(left) == _kind(right) and torch.equal(left, right)
    if isinstance(left, Tensor):
        return _same_number(left, right)
    if isinstance(right, Tensor):
        return _same_number(right, left)
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return _same_array(left, right)
    return bool(left == right)


def to_vector(leaves: Iterable[tuple[Path, object]]) -> Tensor:
    """Return the elements of all values, in the order of `_ordered`; shape `(n,)`."""
    values = [_floating(path, value) for path, value in _ordered(leaves)]
    tensors = [value for value in values if isinstance(value, Tensor)]
    dtype, device = torch.get_default_dtype(), None
    if tensors:
        # Floats take the tensors' type: by way of float32 they would lose digits among float64.
        dtype = reduce(torch.promote_types, [tensor.dtype for tensor in tensors])
        device = tensors[0].device
    elements = [
        value.reshape(-1).to(dtype)
        if isinstance(value, Tensor)
        else torch.tensor([value], dtype=dtype, device=device)
        for value in values
    ]
    return torch.cat(elements) if elements else torch.empty(0)


def from_vector(leaves: Iterable[tuple[Path, object]], vector: Tensor) -> list[tuple[Path, Tensor]]:
    """Return the leaves that `to_vector` would turn into `vector`, in the order given."""
    given = list(leaves)
    values = {path: _floating(path, value) for path, value in _ordered(given)}
    sizes = [value.numel() if isinstance(value, Tensor) else 1 for value in values.values()]
    if vector.shape != (sum(sizes),):
        raise VectorLengthError(sum(sizes), tuple(vector.shape))
    parts = dict(zip(values, vector.split(sizes), strict=True)) if sizes else {}
    return [(path, _shaped(parts[path], values[path])) for path, _ in given]


def _ordered(leaves: Iterable[tuple[Path, object]]) -> Iterator[tuple[Path, object]]:
    yield from sorted(leaves, key=lambda leaf: [(isinstance(k, str), k) for k in leaf[0]])


def _floating(path: Path, value: object) -> Tensor | float:
    if isinstance(value, Tensor) and value.is_floating_point():
        return value
    if isinstance(value, float):
        return value
    raise NotFloatingPointError(path, describe(value))


def _shaped(part: Tensor, like: Tensor | float) -> Tensor:
    return part.reshape(like.shape).to(like.dtype) if isinstance(like, Tensor) else part.reshape(())


def _kind(tensor: Tensor) -> tuple[torch.Size, torch.dtype, torch.device]:
    return tensor.shape, tensor.dtype, tensor.device


def _same_number(tensor: Tensor, number: object) -> bool:
    item: object = tensor.item() if tensor.dim() == 0 else None
    return isinstance(number, Number) and item == number


def _same_array(left: object, right: object) -> bool:
    if not isinstance(left, np.ndarray) or not isinstance(right, np.ndarray):
        return False
    return left.dtype == right.dtype and np.array_equal(left, right)
