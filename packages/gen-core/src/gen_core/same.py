"""Whether two values are the same, exactly or up to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen_core.call import Call
from gen_core.parts import children


def same(left: Any, right: Any, eps: float = 0.0) -> bool:
    """Return whether two values have equal structure and leaves, numbers up to 1000 `eps`."""
    if left is right:
        return True
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return _same_tensor(left, right, eps)
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return _same_tensor(torch.as_tensor(left), torch.as_tensor(right), eps)
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (
            left == right
            or abs(left - right) <= 1000 * eps * (1 + abs(left))
            or (left != left and right != right)
        )
    if isinstance(left, Call):
        left, right = (left.gen_fn, left.args, left.kwargs), (right.gen_fn, right.args, right.kwargs)
    parts, others = children(left), children(right)
    if parts is None or others is None:
        return bool(left == right)
    return parts.keys() == others.keys() and all(same(parts[key], others[key], eps) for key in parts)


def _same_tensor(left: Any, right: Any, eps: float) -> bool:
    if not (isinstance(left, Tensor) and isinstance(right, Tensor)):
        return False
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    rtol = 1000 * eps
    if not left.dtype.is_floating_point:
        return bool(torch.equal(left, right))
    return bool(torch.allclose(left, right, rtol=rtol, atol=rtol, equal_nan=True))
