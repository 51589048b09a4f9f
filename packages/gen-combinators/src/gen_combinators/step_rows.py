"""Traces of steps as rows: the number of a step is an argument of its call, and a tensor in a column."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from gen_core import Call
from gen_core.readable import outside_transforms, values_are_readable
from gen_core.structure import Apart, Inner, Opaque, Structure, put_together, take_apart

if TYPE_CHECKING:
    from gen_core import Trace


class Step(NamedTuple):
    """A step that stands beside columns, and becomes a row only when it is written into them."""

    made: Trace[Any]

    def trace(self) -> Any:
        """Return the trace."""
        return self.made


def as_row(trace: Trace[Any]) -> Any:
    """Return a trace with tensors in place of the numbers among the arguments of calls.

    The number of a step is one of these, so that steps have one structure.
    """
    return put_together(*apart(trace))


def apart(trace: Trace[Any]) -> Apart:
    """Take a trace apart, with tensors in place of the numbers among the arguments of calls."""
    tensors, structure = take_apart(trace, once=False)
    found: list[Any] = []
    return Apart(found, _numbered(structure, tensors, found, in_call=False))


def _numbered(structure: Structure, tensors: list[Any], found: list[Any], *, in_call: bool) -> Structure:
    """Add the tensors of a structure, and those in place of its numbers, to `found`, in order."""
    if isinstance(structure, int):
        found.append(tensors[structure])
        return len(found) - 1
    if isinstance(structure, Opaque):
        value = structure.value
        if not in_call or type(value) not in (int, float):
            return structure
        found.append(_tensor(value, torch.int64 if type(value) is int else torch.get_default_dtype()))
        return len(found) - 1
    is_call = structure.kind is Call  # of which the first part is the function
    parts = [
        _numbered(part, tensors, found, in_call=in_call or (is_call and place > 0))
        for place, part in enumerate(structure.parts)
    ]
    return Inner(structure.kind, structure.rest, tuple(parts))


def _tensor(value: float, dtype: torch.dtype) -> Tensor:
    # A program that is staged makes its own.
    return _shared_tensor(value, dtype) if values_are_readable() else torch.tensor(value, dtype=dtype)


@lru_cache(maxsize=4096)
def _shared_tensor(value: float, dtype: torch.dtype) -> Tensor:
    """Return a number as a tensor; equal ones are one object, which is stored once."""
    with outside_transforms():
        return torch.tensor(value, dtype=dtype)
