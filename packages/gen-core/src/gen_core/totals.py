"""Totals: scores and weights are summed in float64, where the device has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gen_core.numbers import are_plain


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


def moved(old: Tensor, gained: Sequence[Tensor], lost: Sequence[Tensor]) -> Tensor:
    """Return old + sum of gained - sum of lost, shape `()`, float64 where the device has it."""
    if old.is_cpu and not torch.is_grad_enabled() and are_plain():
        # Python adds numbers in a tenth of the time that tensors of one number take.
        change = sum([term.item() for term in gained]) - sum([term.item() for term in lost])
        return torch.scalar_tensor(old.item() + change, dtype=total_dtype(old))
    return total([old, total(gained) - total(lost)])


def total_dtype(score: Tensor) -> torch.dtype:
    """Return the dtype in which scores on this device are totalled."""
    # Nearly every score is on the CPU, and `is_cpu` makes no object.
    return torch.float64 if score.is_cpu or score.device.type != "mps" else score.dtype
