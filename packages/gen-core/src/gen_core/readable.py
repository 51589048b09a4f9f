"""Transforms that are under way: values cannot be read under vmap, nor while a program is staged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._C import _get_dispatch_mode, _TorchDispatchModeKey
from torch._C._functorch import (
    CVmapInterpreterPtr,
    TransformType,
    _add_batch_dim,
    get_interpreter_stack,
    get_unwrapped,
    is_batchedtensor,
    maybe_current_level,
    maybe_get_bdim,
    maybe_get_level,
)
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.utils._python_dispatch import _disable_current_modes


def is_compiling() -> bool:
    """Return whether tensors stand for those of a program that is being staged or compiled."""
    return torch.compiler.is_compiling() or _get_dispatch_mode(_TorchDispatchModeKey.FAKE) is not None


def values_are_readable() -> bool:
    """Return whether Python may ask for the values of tensors that are computed now."""
    if is_compiling():
        return False
    stack = get_interpreter_stack()
    return not stack or all(level.key() != TransformType.Vmap for level in stack)


def transforms_are_active() -> bool:
    """Return whether a transform of `torch.func` is running: vmap, grad or another."""
    return bool(get_interpreter_stack())


def elements_of_batches() -> int:
    """Return the number of elements behind each element of a tensor: 1, or the size of the running batch."""
    levels = get_interpreter_stack() or ()
    sizes = (CVmapInterpreterPtr(level).batchSize() for level in levels if level.key() == TransformType.Vmap)
    return math.prod(sizes)


def are_batched(tensors: Sequence[Tensor]) -> bool:
    """Return whether all tensors differ between the runs of the innermost transform, which is a batch."""
    level = maybe_current_level()
    return level is not None and all(is_batchedtensor(t) and maybe_get_level(t) == level for t in tensors)


def stack_rows(rows: Sequence[Tensor]) -> Tensor:
    """Return `torch.stack(rows)`, laid out so that in a batch each row of all runs lies in one piece.

    Under vmap, torch's own interleaves the runs, which takes ten times as long for scalars.
    """
    level = maybe_current_level()
    if level is None or not are_batched(rows):
        return torch.stack(list(rows))
    plain = [get_unwrapped(row).movedim(maybe_get_bdim(row), 0) for row in rows]
    return _add_batch_dim(torch.stack(plain), 1, level)


@contextmanager
def outside_transforms() -> Iterator[None]:
    """Leave every transform while the block runs: what is made in it is an ordinary tensor."""
    with temporarily_clear_interpreter_stack(), _disable_current_modes():
        yield
