"""Checks of sizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gen_core.readable import values_are_readable
from gen_inflib.kernel_errors import ScaleError
from gen_inflib.sequential_errors import ThresholdError


def check_positive(name: str, given: object) -> None:
    """Raise ScaleError unless `given` is positive and finite in every element, where that can be read."""
    if isinstance(given, Tensor):
        if values_are_readable() and not bool(((given > 0) & torch.isfinite(given)).all()):
            raise ScaleError(name, given)
    elif not (isinstance(given, float | int) and 0 < given < math.inf):
        raise ScaleError(name, given)


def check_threshold(threshold: float | None, *, is_open: bool = False) -> None:
    """Raise ThresholdError unless it is None or between 0 and 1, the latter left out where `is_open`."""
    if threshold is None:
        return
    is_number = isinstance(threshold, float | int)
    if not (is_number and 0 <= threshold <= 1) or (is_open and threshold == 1):
        raise ThresholdError(threshold, "less than 1" if is_open else "1")
