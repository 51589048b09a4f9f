"""`repeat`: independent runs of one generative function on the same arguments."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from gen_combinators.errors import CopiesError
from gen_combinators.map import Map

if TYPE_CHECKING:
    from gen_core import GenerativeFunction

P = ParamSpec("P")
R = TypeVar("R")


def repeat(kernel: GenerativeFunction[P, R], n: int) -> GenerativeFunction[P, Sequence[R]]:
    """Return the generative function that runs `kernel` `n` times, independently, on the same arguments.

    The choices of run i lie below the address i, and the return value is the sequence of the kernel's. It is
    a `Map` with all arguments shared.

    Raises:
        CopiesError: `n` is no integer, or negative.

    >>> dice = repeat(uniform_discrete, 3)(1, 6) @ "dice"
    """
    try:
        copies = operator.index(n)
    except TypeError:
        raise CopiesError(kernel.name, n) from None
    if copies < 0:
        raise CopiesError(kernel.name, n)
    make: Any = Map
    repeated: GenerativeFunction[P, Sequence[R]] = make(kernel, copies=copies)
    return repeated
