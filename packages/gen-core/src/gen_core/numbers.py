"""Scores of choices of one number, in Python's arithmetic: a tenth of the time that tensors take for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from gen_core.readable import is_compiling, transforms_are_active

if TYPE_CHECKING:
    from gen_core.choice import ChoiceTrace

LogProbOfNumbers: TypeAlias = Callable[..., float]
"""A family's `log_prob` for a value and parameters that are Python numbers (a parameter may be None).

It is NaN for parameters that are not allowed, and may raise ValueError or ArithmeticError, as `math` does,
wherever it has no number: tensors then decide.
"""


def are_plain() -> bool:
    """Return whether tensors are now what they seem: no transform or program is being recorded."""
    return not is_compiling() and not transforms_are_active() and forward_ad._current_level < 0


def number_score(choice: ChoiceTrace[Any], log_prob: LogProbOfNumbers) -> float | None:
    """Return the log density of a choice of one number on the CPU, None if tensors must find it.

    Ask only where `are_plain()`. Tensors that a gradient may flow to are not read.
    """
    value = choice._retval
    if type(value) is not Tensor or value.dim() or not value.is_cpu:
        return None
    with_gradient = torch.is_grad_enabled()
    if with_gradient and value.requires_grad:
        return None
    dtype = value.dtype if value.dtype.is_floating_point else None
    numbers: list[Any] = []
    for argument in choice._call.args:
        if type(argument) is float or argument is None or type(argument) is int:
            numbers.append(argument)
        elif isinstance(argument, Tensor):
            if argument.dim() or not argument.is_cpu or (with_gradient and argument.requires_grad):
                return None
            if argument.dtype.is_floating_point:
                if dtype is None:
                    dtype = argument.dtype
                elif argument.dtype is not dtype:
                    return None
            numbers.append(argument.item())
        else:
            return None
    try:
        score = log_prob(value.item(), *numbers)
    except (ValueError, ArithmeticError):
        return None
    if score != score:
        return None
    if dtype is None:
        dtype = torch.get_default_dtype()
    # As a tensor would hold it: a trace that is taken apart and put together again has the same scores.
    if dtype is torch.float32:
        return float(np.float32(score))
    return score if dtype is torch.float64 else None


def as_score(choice: ChoiceTrace[Any], score: float) -> Tensor:
    """Return what `number_score` found as a tensor, in the dtype that tensors would give it."""
    for value in (choice._retval, *choice._call.args):
        if isinstance(value, Tensor) and value.dtype.is_floating_point:
            return torch.scalar_tensor(score, dtype=value.dtype)
    return torch.scalar_tensor(score)
