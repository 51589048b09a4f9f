"""Law 12: choices flatten to a vector and back, in one order for values and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_core.distribution import Distribution
from gen_core.testing.attempts import exactly
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.address import Path
    from gen_core.choicemap import ChoiceMap
    from gen_core.testing.subject import Subject
    from gen_core.trace import Trace

LAW = Law.ROUND_TRIPS


def check_vector(subject: Subject, trace: Trace[Any]) -> None:
    """Check to_vector and from_vector on the continuous choices of a trace."""
    choices = continuous(trace)
    vector = choices.to_vector()
    back = choices.from_vector(vector)
    if back != choices:
        raise LAW.broken(Operation("from_vector(to_vector())", choices), f"it is {back!r}")
    numbered = torch.arange(len(vector), dtype=vector.dtype)
    order = choices.from_vector(numbered).to_vector()
    if not torch.equal(order, numbered):
        raise LAW.broken(Operation("to_vector(from_vector())", choices), f"it orders as {order!r}")


def continuous(trace: Trace[Any]) -> ChoiceMap:
    """Return the choices that have a gradient: floating point tensors that are not discrete."""
    return trace.choices.filter(
        exactly([path for path in trace.choices.paths() if _is_continuous(trace, path)])
    )


def _is_continuous(trace: Trace[Any], path: Path) -> bool:
    value, found = trace.choices[path], trace.find(path)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    gen_fn = None if found is None else found.gen_fn
    return not (isinstance(gen_fn, Distribution) and gen_fn.is_discrete)
