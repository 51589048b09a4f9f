"""Checks of sizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gen_core.readable import values_are_readable
from gen_inflib.errors import ScaleError


def check_positive(name: str, given: object) -> None:
    """Raise ScaleError unless `given` is positive and finite in every element, where that can be read."""
    if isinstance(given, Tensor):
        if values_are_readable() and not bool(((given > 0) & torch.isfinite(given)).all()):
            raise ScaleError(name, given)
    elif not (isinstance(given, float | int) and 0 < given < math.inf):
        raise ScaleError(name, given)
