"""Decisions by chance."""

from __future__ import annotations

import torch
from torch import Tensor

from gen_distributions import uniform


def accept(log_probability: Tensor) -> bool:
    """Return True with probability min(1, exp(log_probability)).

    Args:
        log_probability: Shape `()`, not NaN; -inf is never accepted.
    """
    # In float64: float32 has a 0 in 2^24 draws, and its logarithm accepts anything.
    zero = torch.zeros((), dtype=torch.float64)
    return float(uniform.sample(zero, 1.0).log()) < float(log_probability)
