"""Kernels, and how they mix: each moves a trace and leaves the distribution of traces as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch

from gen_core import GenerativeFunction, Trace
from gen_distributions import categorical
from gen_inflib.counts import check_count

R = TypeVar("R")

Kernel: TypeAlias = Callable[[Trace[R]], tuple[Trace[R], Any]]
"""Any function from a trace to a trace and a record of what happened.

`partial(metropolis_hastings, proposal=select("x"))` is one. Two kernels that leave a distribution as it is
do so one after the other, too.
"""


class Move(NamedTuple):
    """One step of one kernel."""

    kernel: str
    """The kernel's name."""
    info: Any
    """What the kernel returned beside the trace."""


class Moves(NamedTuple):
    """The steps that a composed kernel took, in order."""

    moves: tuple[Move, ...]


def cycle(*kernels: Kernel[R]) -> Kernel[R]:
    """Return the kernel that applies each of `kernels`, in order."""

    def cycle(trace: Trace[R]) -> tuple[Trace[R], Moves]:
        moves: list[Move] = []
        for kernel in kernels:
            trace, info = kernel(trace)
            moves.extend(moves_of(kernel, info))
        return trace, Moves(tuple(moves))

    return cycle


def mixture(kernels: Sequence[tuple[float, Kernel[R]]]) -> Kernel[R]:
    """Return the kernel that applies one of several, picked at random.

    Args:
        kernels: Pairs of a weight and a kernel. Weights are nonnegative and need not sum to 1; they must
            not depend on the trace.
    """
    weights = torch.tensor([weight for weight, _ in kernels], dtype=torch.float64)

    def mixture(trace: Trace[R]) -> tuple[Trace[R], Moves]:
        _, kernel = kernels[int(categorical.sample(weights))]
        trace, info = kernel(trace)
        return trace, Moves(tuple(moves_of(kernel, info)))

    return mixture


def repeat(kernel: Kernel[R], times: int) -> Kernel[R]:
    """Return the kernel that applies `kernel` so many times."""
    check_count("times", times)
    return cycle(*[kernel] * times)


def moves_of(kernel: Kernel[Any], info: object) -> Sequence[Move]:
    """Return the single steps of which `info` is the record."""
    return info.moves if isinstance(info, Moves) else [Move(kernel_name(kernel), info)]


def kernel_name(kernel: object) -> str:
    """Return the name of a kernel: a function's own, and for a `partial` its arguments too."""
    if isinstance(kernel, partial):
        given = [*map(_brief, kernel.args), *map(_brief, kernel.keywords.values())]
        return f"{kernel_name(kernel.func)}({', '.join(given)})"
    return str(getattr(kernel, "__name__", type(kernel).__name__))


def _brief(value: object) -> str:
    if isinstance(value, GenerativeFunction):
        return value.name
    return value.__name__ if hasattr(value, "__name__") else repr(value)
