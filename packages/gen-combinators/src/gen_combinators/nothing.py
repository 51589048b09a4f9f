"""The generative function that does nothing: what runs where the flag of a Mask is false."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, final

import torch

from gen_core import EMPTY, Call, Generated, GenerativeFunction, Trace, register_trace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ChoiceMap, Path, Selection


@final
class Nothing(GenerativeFunction[[], None]):
    """Takes nothing, makes no choices and returns None."""

    def __init__(self) -> None:
        """Users write `Mask`."""
        super().__init__("nothing", inspect.Signature())

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[None]:
        """Weight: 0."""
        trace = NothingTrace(call)
        return Generated(trace, trace.score)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Return 0."""
        return trace.score.new_zeros(())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nothing)

    def __hash__(self) -> int:
        return hash(Nothing)


@final
class NothingTrace(Trace[None]):
    """The trace of nothing."""

    __slots__ = ()

    def __init__(self, call: Call[Any]) -> None:
        """Record that nothing happened."""
        super().__init__(call, None, torch.zeros((), dtype=torch.float64))

    @property
    def choices(self) -> ChoiceMap:
        """No choices."""
        return EMPTY

    def find(self, path: Path) -> Trace[Any] | None:
        """Return this trace for the empty path."""
        return None if path else self


register_trace(NothingTrace, lambda trace: (trace.call,), NothingTrace)

NOTHING = Nothing()
