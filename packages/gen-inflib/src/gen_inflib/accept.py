"""Decisions by chance."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import Trace, choose
from gen_core.readable import values_are_readable
from gen_core.structure import put_together, take_apart
from gen_distributions import uniform
from gen_inflib.errors import NotANumberError

R = TypeVar("R")
T = TypeVar("T")


class Decided(NamedTuple):
    """A trace, and whether it is the proposed one."""

    trace: Any
    accepted: bool | Tensor


def accept(log_probability: Tensor) -> bool:
    """Return True with probability min(1, exp(log_probability)).

    Args:
        log_probability: Shape `()`, not NaN; -inf is never accepted.
    """
    return float(log_uniform(log_probability)) < float(log_probability)


def accept_or_stay(log_ratio: Tensor, proposed: Trace[R], trace: Trace[R]) -> Decided:
    """Return `proposed` with probability min(1, exp(log_ratio)), else `trace`: the decision of every kernel.

    In a batch and in a staged program, where Python cannot ask for the ratio, both traces must have one
    structure, and what is returned is chosen element by element; a ratio that is NaN is never accepted there,
    and the kernel reports it.

    Args:
        log_ratio: The log acceptance ratio, shape `()`, in nats.
        proposed: The trace to move to.
        trace: The current trace.

    Returns:
        The trace, and whether it is `proposed`: a bool, or a boolean tensor where values cannot be read.

    Raises:
        NotANumberError: The ratio is NaN, where values can be read.
        BatchStructureError: The traces differ in structure, where values cannot be read.
    """
    if values_are_readable():
        if torch.isnan(log_ratio):
            raise NotANumberError("The log acceptance ratio", trace.gen_fn.name)
        accepted = accept(log_ratio)
        return Decided(proposed if accepted else trace, accepted)
    chosen = log_uniform(log_ratio) < log_ratio  # False where it is NaN
    return Decided(choose(chosen, proposed, trace), chosen)


def choose_values(condition: bool | Tensor, yes: T, no: T) -> T:
    """Return `yes` where `condition` holds, else `no`: tensors, and containers of one structure of them.

    Args:
        condition: A bool, or booleans of shape `()`.
        yes: Any value.
        no: Another of the same structure, if `condition` is a tensor.
    """
    if isinstance(condition, bool):
        return yes if condition else no
    ours, structure = take_apart(yes, once=False)
    theirs, other = take_apart(no, once=False)
    if structure != other:
        raise TypeError(f"Expected two values of one structure, but got {yes!r} and {no!r}.")
    pairs = zip(ours, theirs, strict=True)
    chosen: T = put_together([a if a is b else torch.where(condition, a, b) for a, b in pairs], structure)
    return chosen


def log_uniform(like: Tensor) -> Tensor:
    """Return the logarithm of a uniform number in [0, 1), shape `()`, in float64 where the device has it."""
    # In float64: float32 has a 0 in 2^24 draws, and its logarithm accepts anything.
    dtype = torch.float32 if like.device.type == "mps" else torch.float64
    return uniform.sample(torch.zeros((), dtype=dtype, device=like.device), 1.0).log()
