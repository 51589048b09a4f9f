"""Whether the values of tensors can be read: not under vmap, and not while a program is staged."""

from __future__ import annotations

import torch
from torch._C import _get_dispatch_mode, _TorchDispatchModeKey
from torch._C._functorch import TransformType, get_interpreter_stack


def values_are_readable() -> bool:
    """Return whether Python may ask for the values of tensors that are computed now."""
    if torch.compiler.is_compiling() or _get_dispatch_mode(_TorchDispatchModeKey.FAKE) is not None:
        return False
    stack = get_interpreter_stack()
    return not stack or all(level.key() != TransformType.Vmap for level in stack)
