"""Whether a family scores Python numbers as it scores tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from gen_core.call import Call

TOLERANCE = 1e-4
"""Relative to 1 + |log density|: tensors of float32 lose digits where large terms cancel."""


def check_number_scores(call: Call[Any], draws: Iterable[Any]) -> None:
    """Check that `log_prob_of_numbers`, if a call's family has it, is `log_prob` on values of one number.

    Raises:
        AssertionError: The two differ.
    """
    distribution: Any = call.gen_fn
    arguments = [
        value.item() if isinstance(value, Tensor) and not value.dim() else value for value in call.args
    ]
    if distribution.of_numbers is None or any(isinstance(value, Tensor) for value in arguments):
        return
    for draw in draws:
        if not isinstance(draw, Tensor) or draw.dim():
            return
        try:
            found = float(distribution.of_numbers(draw.item(), *arguments))
        except (ValueError, ArithmeticError):
            continue  # left to tensors
        expected = float(distribution.family.log_prob(draw, *call.args))
        if not math.isnan(found) and abs(found - expected) > TOLERANCE * (1 + abs(expected)):
            raise AssertionError(
                f"log_prob_of_numbers of {call!r} is {found:.6g} at {draw.item():.6g}, "
                f"where log_prob is {expected:.6g}."
            )
