"""Tensors from parameters, and torch's untyped corners: the one file that wraps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from gen_core.readable import is_compiling
from gen_core.shapes import broadcast_shapes

TensorLike: TypeAlias = Tensor | float
"""A scalar parameter, or a tensor of them."""
VectorLike: TypeAlias = Tensor | Sequence[float]
"""A parameter whose last dimension belongs to one event."""
MatrixLike: TypeAlias = Tensor | Sequence[Sequence[float]]
"""A parameter whose last two dimensions belong to one event."""
IntegerLike: TypeAlias = Tensor | int
"""A count or an index, or a tensor of them."""


def promote(*values: object) -> tuple[Tensor, ...]:
    """Return `values` as floating point tensors.

    Floating point tensors are returned as they are. Everything else (Python numbers, sequences,
    arrays, tensors of integers) gets the widest dtype among them, or torch's default dtype.
    """
    for value in values:
        if not isinstance(value, Tensor) or not value.dtype.is_floating_point:
            return _promote(values)
    return cast("tuple[Tensor, ...]", values)


def _promote(values: tuple[object, ...]) -> tuple[Tensor, ...]:
    dtype, device = float_dtype(values)
    return tuple(
        value
        if isinstance(value, Tensor) and value.dtype.is_floating_point
        else as_tensor(value, dtype, device)
        for value in values
    )


def float_dtype(values: Sequence[object]) -> tuple[torch.dtype, torch.device | None]:
    """Return the widest floating point dtype among tensors, or the default dtype; and their device."""
    dtype, device = None, None
    for value in values:
        if isinstance(value, Tensor):
            if device is None or value.dim():
                device = value.device
            if value.dtype.is_floating_point:
                if dtype is None:
                    dtype = value.dtype
                elif dtype is not value.dtype:
                    dtype = torch.promote_types(dtype, value.dtype)
    return dtype or torch.get_default_dtype(), device


def as_tensor(value: object, dtype: torch.dtype | None, device: torch.device | None = None) -> Tensor:
    """Return a number, a (nested) sequence of numbers or tensors, an array or a tensor as a tensor."""
    if isinstance(value, Tensor):
        return value.to(dtype) if dtype else value
    if isinstance(value, list | tuple) and any(isinstance(part, Tensor | list | tuple) for part in value):
        return torch.stack([as_tensor(part, dtype, device) for part in value])
    return torch.as_tensor(cast(Any, value), dtype=dtype, device=device)


def broadcast_shape(first: Tensor, *others: Tensor) -> tuple[int, ...]:
    """Return the shape that tensors broadcast to; fast where they agree."""
    return broadcast_shapes(first.shape, *[other.shape for other in others])


def broadcast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return tensors of the one shape that they broadcast to."""
    return cast("tuple[Tensor, ...]", torch.broadcast_tensors(*tensors))


def standard_normal(*params: Tensor) -> Tensor:
    """Draw a standard normal for each element that the parameters broadcast to."""
    first = params[0]
    return torch.randn(broadcast_shape(*params), dtype=first.dtype, device=first.device)


def standard_uniform(*params: Tensor) -> Tensor:
    """Draw a number in [0, 1) for each element that the parameters broadcast to."""
    first = params[0]
    return torch.rand(broadcast_shape(*params), dtype=first.dtype, device=first.device)


def open_uniform(*params: Tensor) -> Tensor:
    """Draw a number in (0, 1) for each element that the parameters broadcast to."""
    uniform = standard_uniform(*params)
    # Half of the step between the numbers that `rand` makes, so that 0 becomes a number of its own.
    return uniform.clamp(min=torch.finfo(uniform.dtype).eps / 4)


def standard_gamma(concentration: Tensor) -> Tensor:
    """Draw from gamma(concentration, 1), differentiably in the concentration."""
    return torch._standard_gamma(concentration)


def log_standard_gamma(concentration: Tensor) -> Tensor:
    """Draw the logarithm of a gamma(concentration, 1), which does not underflow; differentiably."""
    uniform = open_uniform(concentration)
    return torch._standard_gamma(concentration + 1).log() + uniform.log() / concentration


def weighted_log(weight: Tensor, x: Tensor) -> Tensor:
    """Return `weight * log(x)`, and 0 with a finite gradient where the weight is 0."""
    return weight * torch.where(weight == 0, 1.0, x).log()


def sum_rightmost(x: Tensor, num_dims: int) -> Tensor:
    """Return the sum over the last dimensions."""
    return x.sum(tuple(range(-num_dims, 0))) if num_dims > 0 else x


def all_rightmost(holds: Tensor, num_dims: int) -> Tensor:
    """Return whether all hold, over the last dimensions."""
    return holds.flatten(-num_dims).all(-1) if num_dims > 0 else holds


def is_close(x: Tensor, y: Tensor, tolerance: float) -> Tensor:
    """Return where x and y agree to a tolerance; `torch.isclose` does not batch."""
    return (x - y).abs() <= tolerance * (1 + y.abs())


def indicator(holds: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 1 where a boolean tensor is true, else 0.

    torch's kernels convert bytes several times faster than booleans; compiled loops do not, and a cast of
    bits slows them down.
    """
    return (holds if is_compiling() else holds.view(torch.uint8)).to(dtype)


def nan_unless(valid: Tensor, log_prob: Tensor) -> Tensor:
    """Return `log_prob` where the parameters are valid, else NaN, which algorithms report."""
    return torch.where(valid, log_prob, torch.nan)


def all_positive(first: Tensor, *others: Tensor) -> Tensor:
    """Return where all parameters are positive."""
    positive = first > 0
    for other in others:
        positive = positive & (other > 0)
    return positive


def on_support(inside: Tensor, log_prob: Tensor) -> Tensor:
    """Return `log_prob` on the support and -inf off it; NaN stays NaN on both."""
    return torch.where(inside, log_prob, log_prob - torch.inf)


def cholesky(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor; NaN where the matrix is not positive definite."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    return torch.where((info == 0)[..., None, None], factor, torch.nan)


def solve_lower(factor: Tensor, right: Tensor) -> Tensor:
    """Return `factor^-1 @ right` for a lower triangular factor."""
    solution: Tensor = torch.linalg.solve_triangular(factor, right, upper=False)
    return solution
