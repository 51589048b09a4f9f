"""Listing finite supports, for choices of any shape."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from gen_distributions.errors import NotEnumerableError
from gen_distributions.tensors import broadcast

MAX_VALUES = 1_000_000


def list_values(name: str, options: Sequence[Tensor], shape: torch.Size) -> list[Tensor]:
    """Return every value of a choice of `shape` whose elements range over `options`, in order.

    Args:
        name: The distribution's name, for messages.
        options: The values of each element: one for all, or one for each element in row-major order.
            Each has its values along the first dimension.
        shape: The batch shape of the choice.

    Raises:
        NotEnumerableError: There are more than a million.
    """
    if not shape:
        return list(options[0].unbind())
    each = list(options) if len(options) > 1 else [options[0]] * shape.numel()
    count = 1
    for option in each:
        count *= len(option)
    if count > MAX_VALUES:
        raise NotEnumerableError(name, f"a value of shape {tuple(shape)} has {count} possibilities")
    event_shape = options[0].shape[1:]
    return [
        torch.stack(combination).reshape(*shape, *event_shape)
        for combination in itertools.product(*(option.unbind() for option in each))
    ]


def list_integers(name: str, low: Tensor, high: Tensor) -> list[Tensor]:
    """Return every integer value between the inclusive bounds, which broadcast."""
    low, high = broadcast(low, high)
    ranges = [
        torch.arange(int(first), int(last) + 1, device=low.device)
        for first, last in zip(low.flatten().tolist(), high.flatten().tolist(), strict=True)
    ]
    return list_values(name, ranges, low.shape)
