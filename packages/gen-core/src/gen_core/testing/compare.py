"""Comparing what two operations returned: exactly, or up to rounding."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen_core.call import Call
from gen_core.parts import children
from gen_core.testing.structure import tensors


def epsilon(values: Iterable[object]) -> float:
    """Return the rounding error of the least precise of the default dtype and the tensors in `values`."""
    dtypes = {torch.get_default_dtype()}
    for value in values:
        dtypes |= {leaf.dtype for leaf in tensors(value) if leaf.dtype.is_floating_point}
    return max(torch.finfo(dtype).eps for dtype in dtypes)


def close(left: Tensor | float, right: Tensor | float, eps: float, magnitude: float = 0.0) -> bool:
    """Return whether two log densities are equal up to rounding.

    A score is a sum of log densities, each computed in a dozen operations and rounded to `eps`; densities
    of choices with many elements, and differences of large scores, lose more. A thousand `eps` of the
    numbers at hand allows for that, and no wrong formula is that near.

    Args:
        left: One number.
        right: The other; infinities must be the same, and nothing is close to NaN.
        eps: The rounding error of the dtype that densities are computed in.
        magnitude: The size of the numbers that these came from.
    """
    a, b = float(left), float(right)
    if a == b:
        return True
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    size = magnitude if math.isfinite(magnitude) else 0.0
    return abs(a - b) <= 1000 * eps * (1 + abs(a) + abs(b) + abs(size))


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
