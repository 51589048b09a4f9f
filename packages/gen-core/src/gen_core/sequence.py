"""Sequence functions: generative functions that run a kernel step after step, seen from outside.

Algorithms that follow a sequence (particle filters) run one step at a time, through the kernel, and put
the steps together at the end; so a step costs the same however many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.call import Call
    from gen_core.trace import Trace


@runtime_checkable
class SequenceFunction(Protocol):
    """A generative function of steps: the choices of step t lie below the address t.

    Each step is a call of a kernel on what the step before carried on. Beside these members it is a
    `GenerativeFunction`.
    """

    def length(self, call: Call[Any], /) -> int:
        """Return the number of steps of a call."""
        ...

    def start(self, call: Call[Any], /) -> Any:
        """Return what is carried into step 0."""
        ...

    def step_call(self, call: Call[Any], step: int | Tensor, carry: Any, /) -> Call[Any]:
        """Return the kernel's call of one step; while a loop is staged, the step is a tensor."""
        ...

    def carry(self, retval: Any, /) -> Any:
        """Return what is carried on from a step that returned `retval`."""
        ...

    def assembled(self, call: Call[Any], steps: Sequence[Trace[Any]], /) -> Trace[Any]:
        """Return the trace of a call whose steps are these."""
        ...
