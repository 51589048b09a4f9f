"""Memory: what a Map of many elements holds, against the raw tensors of the same numbers.

Of a trace everything that can be reached from it is counted, each object once: the storages of tensors, and
the Python objects. Of the raw tensors their storages: for each element its argument, the values of its three
choices, and its score, in the dtypes that the trace has them in.
"""

from __future__ import annotations

import gc
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor

from gen_combinators import Map
from gen_core import Trace
from gen_distributions import normal
from gen_sml import static

NUM_ELEMENTS = 100_000
TARGET = 3.0


@static
def element(x: Tensor) -> Tensor:
    """Three choices."""
    a = normal(x, 1.0) @ "a"
    b = normal(a, 1.0) @ "b"
    return normal(a + b, 1.0) @ "c"


def report() -> str:
    """Measure, and return a table."""
    trace = Map(element)(torch.zeros(NUM_ELEMENTS)).simulate()
    raw = raw_bytes(trace)
    ours = reachable_bytes(trace)
    # What is computed when it is first asked for is held as well.
    assert len(trace.choices) == 3 * NUM_ELEMENTS
    assert float(trace.update({(0, "a"): 0.5}).weight) < float("inf")
    used = reachable_bytes(trace)
    lines = [
        f"memory of a Map of {NUM_ELEMENTS:,} elements of three choices",
        f"  {'':<44}{'MB':>11}{'ratio':>8}",
    ]
    for name, num_bytes in (("gen", ours), ("gen, after reading and an edit", used), ("raw tensors", raw)):
        lines.append(f"  {name:<44}{num_bytes / 1e6:>11.2f}{num_bytes / raw:>8.2f}")
    ratio = max(ours, used) / raw
    verdict = "met" if ratio <= TARGET else "MISSED"
    return "\n".join([*lines, f"  target: gen <= {TARGET:g} x raw tensors: {ratio:.2f}, {verdict}"])


def raw_bytes(trace: Trace[Any]) -> int:
    """Return the bytes of arguments, values and scores of the elements."""
    first = trace.find((0,))
    assert first is not None
    tensors: list[Tensor] = [*first.args, *(value for _, value in first.choices.leaves()), first.score]
    return NUM_ELEMENTS * sum(tensor.element_size() for tensor in tensors)


def reachable_bytes(value: object) -> int:
    """Return the bytes of everything that `value` refers to but code."""
    seen: dict[int, object] = {}
    storages: dict[int, int] = {}
    pending = [value]
    total = 0
    while pending:
        found = pending.pop()
        if id(found) in seen or isinstance(found, CODE):
            continue
        seen[id(found)] = found  # held, so that its id stays its own
        total += sys.getsizeof(found)
        if isinstance(found, Tensor):
            storage = found.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        pending += gc.get_referents(found)
    return total + sum(storages.values())


CODE = (type, ModuleType, FunctionType, BuiltinFunctionType)
