"""Loops of bounded length that stop early: Python's where it can ask, masked where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor
from torch._C._functorch import get_unwrapped, is_batchedtensor

from gen_core.readable import is_compiling
from gen_inflib.accept import choose_values

S = TypeVar("S")


def masked_loop(times: int, running: Callable[[S], Tensor], body: Callable[[int, S], S], state: S) -> S:
    """Return the state after at most `times` steps `body(i, state)`, i = 0, 1, ..., while `running(state)`.

    In a batch every run takes the steps that the longest needs, and each keeps the state at which its own
    stopped; in a staged program all `times` are taken. So the body must not draw random numbers: draw them
    before, for all steps, and the loop gives the same everywhere.

    Args:
        times: The number of steps at most.
        running: Whether to go on, booleans of shape `()`.
        body: Returns the next state, of the structure, shapes and dtypes of the one before.
        state: Tensors, and containers of them.
    """
    for i in range(times):
        goes_on = running(state)
        if not is_compiling() and not _any(goes_on):
            break
        state = choose_values(goes_on, body(i, state), state)
    return state


def _any(condition: Tensor) -> bool:
    # Under vmap a loop may ask for the values of the whole batch, though not for one element's.
    while is_batchedtensor(condition):
        condition = get_unwrapped(condition)
    return bool(condition.any())
