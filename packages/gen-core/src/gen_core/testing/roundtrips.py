"""Law 12: choices flatten to a vector and back; traces are pytrees; both can be saved and loaded."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_is_leaf, tree_map

from gen_core.diff import UNKNOWN
from gen_core.distribution import Distribution
from gen_core.saving import load, save, trace_from_state, trace_to_state
from gen_core.saving_errors import NoReferenceError, UnsavableError
from gen_core.testing.attempts import exactly
from gen_core.testing.below import BelowTrace
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation
from gen_core.testing.snapshot import Snapshot

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


def check_pytree(subject: Subject, trace: Trace[Any]) -> None:
    """Check that a trace comes back from its tensors, and can be edited; not where it is no pytree."""
    if not _is_pytree(trace):
        return
    operation = Operation("tree_unflatten(tree_flatten())", trace.choices)
    back: Trace[Any] = tree_map(lambda leaf: leaf.clone(), trace)
    difference = Snapshot(trace).difference(back, subject.eps)
    if difference:
        raise LAW.broken(operation, difference)
    weight = 0.0 if subject.untraced else back.update({}, argdiffs=UNKNOWN).weight
    if not subject.close(weight, 0.0, trace):
        raise LAW.broken(operation, f"an update with nothing weighs {float(weight):.8g}")


def check_saving(subject: Subject, trace: Trace[Any]) -> None:
    """Check that a trace and its choices come back from a file; not where its function has no name."""
    file = io.BytesIO()
    try:
        save(trace.choices, file)
    except UnsavableError:
        return
    file.seek(0)
    loaded = load(file)
    if loaded != trace.choices:
        raise LAW.broken(Operation("load(save())", trace.choices), f"it is {loaded!r}")
    if subject.untraced:
        return  # loading runs the function again, and what is untraced is another
    try:
        state = trace_to_state(trace)
    except (NoReferenceError, UnsavableError):
        return
    back = trace_from_state(state)
    operation = Operation("trace_from_state(trace_to_state())", trace.choices)
    if back.choices != trace.choices or back.gen_fn != trace.gen_fn:
        raise LAW.broken(operation, f"it is {back!r}")
    if not subject.close(back.score, trace.score):
        raise LAW.broken(operation, f"the score is {float(back.score):.8g}, not {float(trace.score):.8g}")


def continuous(trace: Trace[Any]) -> ChoiceMap:
    """Return the choices that have a gradient: floating point tensors that are not discrete."""
    return trace.choices.filter(
        exactly([path for path in trace.choices.paths() if _is_continuous(trace, path)])
    )


def _is_pytree(trace: Trace[Any]) -> bool:
    while isinstance(trace, BelowTrace):
        trace = trace.callee
    return not tree_is_leaf(trace)


def _is_continuous(trace: Trace[Any], path: Path) -> bool:
    value, found = trace.choices[path], trace.find(path)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    gen_fn = None if found is None else found.gen_fn
    return not (isinstance(gen_fn, Distribution) and gen_fn.is_discrete)
