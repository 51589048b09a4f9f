"""The trace that a gradient-based kernel leaves: the proposed position, or the trace as it was."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from gen_core import Trace, choose
from gen_core.readable import values_are_readable
from gen_inflib.marginalised import View

R = TypeVar("R")


def moved(view: View[R], accepted: Tensor, position: Tensor) -> Trace[R]:
    """Return the trace at `position` where the move was accepted, else the trace that is viewed."""
    if values_are_readable():
        return view.refreshed(view.trace_at(position) if bool(accepted) else view.trace)
    return view.refreshed(choose(accepted, view.trace_at(position), view.trace))
