"""Values that users give (numbers, sequences, arrays, tensors) as the tensors that families hold."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gen_core.readable import values_are_readable
from gen_distributions.errors import ValueKindError
from gen_distributions.tensors import as_tensor, float_dtype


def convert_value(name: str, value: object, dtype: torch.dtype | None, params: tuple[object, ...]) -> Tensor:
    """Return `value` as a tensor of `dtype`; for None, of the parameters' floating point dtype.

    Floating point tensors keep their dtype where any will do. Numbers become booleans or integers
    only where nothing is lost.

    Raises:
        ValueKindError: It is no number or array of numbers, or not one that `dtype` can hold.
    """
    if dtype is not None:
        return _exactly(name, _tensor(name, value, None), dtype, value)
    widest, device = float_dtype(params)
    if isinstance(value, Tensor):
        return value if value.dtype.is_floating_point else value.to(widest)
    return _tensor(name, value, widest, device)


def _tensor(
    name: str, value: object, dtype: torch.dtype | None, device: torch.device | None = None
) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        if isinstance(value, list | tuple):
            return as_tensor(value, dtype, device)
        # The caller's array may change later, and a choice must not: copy.
        return torch.tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueKindError(name, value, "a number, or an array or tensor of numbers") from error


def _exactly(name: str, tensor: Tensor, dtype: torch.dtype, given: object) -> Tensor:
    if tensor.dtype is dtype:
        return tensor
    converted = tensor.to(dtype)
    if dtype is torch.int64 and not tensor.dtype.is_floating_point:
        return converted
    if not isinstance(given, Tensor):
        return _number_exactly(name, given, dtype, converted)
    if not values_are_readable():
        dtype_name = str(dtype).removeprefix("torch.")
        raise ValueKindError(name, given, f"a tensor of dtype {dtype_name} while batched or staged")
    if tensor.dtype.is_complex or not bool((converted == tensor).all()):
        raise ValueKindError(name, given, _KINDS[dtype])
    return converted


def _number_exactly(name: str, given: object, dtype: torch.dtype, converted: Tensor) -> Tensor:
    """Judge what is no tensor by itself: its value is known where those of tensors are not."""
    array = np.asarray(given)
    if array.dtype == object:  # tensors in a list
        array = np.asarray(as_tensor(given, None))
    whole = array.astype(bool if dtype is torch.bool else np.int64)
    if np.iscomplexobj(array) or not bool((whole == array).all()):
        raise ValueKindError(name, given, _KINDS[dtype])
    return converted


_KINDS = {torch.bool: "true or false (0 or 1)", torch.int64: "an integer"}
