"""Totals: scores and weights are summed in float64, where the device has it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from gen_core.numbers import are_plain
from gen_core.readable import values_are_readable

Score: TypeAlias = "Tensor | float"
"""A score of shape `()`. A Python number stands for a float64 tensor on the CPU: it takes a tenth of the
time to make, to add and to read."""


def total(terms: Iterable[Tensor]) -> Tensor:
    """Return the sum of scores or weights, shape `()`, float64 where the device has it; 0 for none.

    Each term is converted before it is added: under `vmap`, a float64 term that is not batched plus a
    float32 term that is would be float32.
    """
    result = None
    for term in terms:
        dtype = total_dtype(term)
        wide = term if term.dtype is dtype else term.to(dtype)
        result = wide if result is None else result + wide
    return torch.zeros((), dtype=torch.float64) if result is None else result


def moved(old: Score, gained: Sequence[Score], lost: Sequence[Score]) -> Score | None:
    """Return old + sum of gained - sum of lost, shape `()`, float64 where the device has it.

    In float64 the difference does not drift. From or to an impossible trace it has no meaning: None, as
    where it cannot be read whether the old score is finite.
    """
    if is_on_cpu(old) and not torch.is_grad_enabled() and are_plain():
        number = as_number(old)
        if not math.isfinite(number):
            return None
        return number + (sum(map(as_number, gained)) - sum(map(as_number, lost)))
    if not values_are_readable() or not math.isfinite(as_number(old)):
        return None
    change = total(map(as_tensor, gained)) - total(map(as_tensor, lost))
    return total([as_tensor(old).detach(), change])


def is_on_cpu(score: Score) -> bool:
    """Return whether a score is on the CPU, where it costs nothing to read."""
    return type(score) is float or score.is_cpu  # type: ignore[union-attr]


def as_number(score: Score) -> float:
    """Return a score as a Python number; waits for the device that it is on."""
    if type(score) is float:
        return score
    number: float = score.item()  # type: ignore[union-attr]
    return number


def as_tensor(score: Score) -> Tensor:
    """Return a score as a tensor."""
    if type(score) is float:
        return torch.scalar_tensor(score, dtype=torch.float64)
    tensor: Tensor = score  # type: ignore[assignment]
    return tensor


def total_dtype(score: Tensor) -> torch.dtype:
    """Return the dtype in which scores on this device are totalled."""
    # Nearly every score is on the CPU, and `is_cpu` makes no object.
    return torch.float64 if score.is_cpu or score.device.type != "mps" else score.dtype
