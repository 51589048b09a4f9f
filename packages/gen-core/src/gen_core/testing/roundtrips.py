"""Law 12: choices flatten to a vector and back, in one order for values and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_core.testing.attempts import exactly
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.choicemap import ChoiceMap
    from gen_core.testing.subject import Subject
    from gen_core.trace import Trace

LAW = Law.ROUND_TRIPS


def check_vector(subject: Subject, trace: Trace[Any]) -> None:
    """Check to_vector and from_vector on the continuous choices of a trace."""
    choices = continuous(trace.choices)
    vector = choices.to_vector()
    back = choices.from_vector(vector)
    if back != choices:
        raise LAW.broken(Operation("from_vector(to_vector())", choices), f"it is {back!r}")
    numbered = torch.arange(len(vector), dtype=vector.dtype)
    order = choices.from_vector(numbered).to_vector()
    if not torch.equal(order, numbered):
        raise LAW.broken(Operation("to_vector(from_vector())", choices), f"it orders as {order!r}")


def continuous(choices: ChoiceMap) -> ChoiceMap:
    """Return the choices that are floating point tensors."""
    floating = {
        path for path, value in choices.leaves() if isinstance(value, Tensor) and value.is_floating_point()
    }
    return choices.filter(exactly(floating))
