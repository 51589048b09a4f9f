"""The trace of a custom deterministic function: no choices, and a state for the next edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

import torch

from gen_core import EMPTY, ChoiceMap, Trace, register_trace

if TYPE_CHECKING:
    from gen_core import Call, Path

R_co = TypeVar("R_co", covariant=True)


@final
class CustomTrace(Trace[R_co]):
    """The record of one execution; its score is 0."""

    __slots__ = ("_state",)

    def __init__(self, call: Call[Any], retval: R_co, state: Any) -> None:
        """Record what a function returned, and its state."""
        super().__init__(call, retval, torch.zeros((), dtype=torch.float64))
        self._state = state

    @property
    def state(self) -> Any:
        """What the function keeps for its next update or gradient."""
        return self._state

    @property
    def choices(self) -> ChoiceMap:
        """No choices."""
        return EMPTY

    def find(self, path: Path) -> Trace[Any] | None:
        """Return this trace for the empty path."""
        return None if path else self


register_trace(CustomTrace, lambda trace: (trace.call, trace.retval, trace.state), CustomTrace)
