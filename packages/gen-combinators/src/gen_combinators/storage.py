"""How a trace of many elements is held."""

from __future__ import annotations

from typing import Any

from gen_combinators.errors import NoElementsTraceError
from gen_combinators.map_trace import MapTrace
from gen_combinators.unfold_trace import StepwiseTrace
from gen_core import Trace


def storage_of(trace: Trace[Any]) -> str:
    """Return how the elements of a `Map`, `repeat`, `Unfold` or `Scan` are held, and why.

    `"batched: ..."` if their tensors lie side by side, so that what concerns all of them is one batched
    operation; `"one by one: ..."` if each is a trace of its own, with the reason.

    Raises:
        NoElementsTraceError: It is the trace of another function.
    """
    if isinstance(trace, MapTrace | StepwiseTrace):
        return trace.storage
    raise NoElementsTraceError(trace.gen_fn.name)
