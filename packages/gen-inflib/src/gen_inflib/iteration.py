"""Loops of kernels: Python's where they run eagerly, one compiled loop where they are staged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor
from torch._C._functorch import get_unwrapped, is_batchedtensor

from gen_core.readable import is_compiling, transforms_are_active
from gen_inflib.chain_errors import StagedBatchError

S = TypeVar("S")


def iterate(times: int, body: Callable[[S], S], state: S) -> S:
    """Return the state after so many steps of `body`."""
    if times > 1 and is_compiling() and not transforms_are_active():
        from gen_torch import fori_loop

        return fori_loop(0, times, lambda _, now: body(now), state)
    for _ in range(times):
        state = body(state)
    return state


def iterate_while(running: Callable[[S], Tensor], body: Callable[[S], S], state: S) -> S:
    """Return the state once `running`, a boolean of shape `()`, is false.

    In a batch it goes on until it is false for all, so the body must leave a state alone for which it is.

    Raises:
        StagedBatchError: In a batch that is being staged: such a loop would have no end.
    """
    if is_compiling():
        if transforms_are_active():
            raise StagedBatchError
        from gen_torch import while_loop

        return while_loop(running, body, state)
    while holds_anywhere(running(state)):
        state = body(state)
    return state


def holds_anywhere(condition: Tensor) -> bool:
    """Return whether a condition holds, or, in a batch, whether it does for any run.

    Under vmap Python may ask for the values of the whole batch, though not for one element's.
    """
    while is_batchedtensor(condition):
        condition = get_unwrapped(condition)
    return bool(condition.any())
