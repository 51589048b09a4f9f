"""Comparing log densities up to rounding."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

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
