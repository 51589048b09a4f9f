"""What a kernel is, and the record of what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from torch import Tensor

from gen_core import GenerativeFunction, Trace

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
    taken: bool | Tensor = True
    """Whether the step was taken. In a batch, each chain takes some of the steps that all are offered."""


class Moves(NamedTuple):
    """The steps that a composed kernel took, in order."""

    moves: tuple[Move, ...]


def moves_of(kernel: object, info: object, taken: bool | Tensor = True) -> Sequence[Move]:
    """Return the single steps of which `info` is the record, taken only where `taken` holds."""
    if not isinstance(info, Moves):
        return [Move(kernel_name(kernel), info, taken)]
    if taken is True:
        return info.moves
    return [move._replace(taken=both(move.taken, taken)) for move in info.moves]


def both(one: bool | Tensor, other: bool | Tensor) -> bool | Tensor:
    """Return whether both hold."""
    if isinstance(one, bool):
        return other if one else False
    return one if other is True else one & other


def kernel_name(kernel: object) -> str:
    """Return the name of a kernel: a function's own, and for a `partial` its arguments too."""
    if isinstance(kernel, partial):
        given = [*map(brief, kernel.args), *map(brief, kernel.keywords.values())]
        return f"{kernel_name(kernel.func)}({', '.join(given)})"
    return str(getattr(kernel, "__name__", type(kernel).__name__))


def brief(value: object) -> str:
    """Return the name of a generative function or of a function, or what `repr` says."""
    if isinstance(value, GenerativeFunction):
        return value.name
    return value.__name__ if hasattr(value, "__name__") else repr(value)
