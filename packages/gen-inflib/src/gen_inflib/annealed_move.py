"""What annealing does to a trace at each power, and to all of them as one compiled program."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from gen_core import Call, Trace, TraceBatch, batch
from gen_inflib.checkpoint import rng_states, set_rng_states
from gen_inflib.compiling import compiled
from gen_inflib.kernel import Kernel
from gen_inflib.layout import Layout, find_layout

CompiledMove: TypeAlias = Callable[[Any, Tensor], TraceBatch[Any]]
"""From a batch of tempered traces and a power to the traces of that power, moved."""


def moved_at(trace: Trace[Any], *, call: Call[Any], kernel: Kernel[Any], num_moves: int) -> Trace[Any]:
    """Return a tempered trace at another power, moved by the kernel under it.

    Args:
        trace: Where to start.
        call: The trace's call with the power in the place of its own.
        kernel: Leaves the distribution at any power as it is.
        num_moves: How often it is applied.
    """
    moved = trace.update({}, call).trace
    for _ in range(num_moves):
        moved, _ = kernel(moved)
    return moved


def compiled_move(traces: Any, kernel: Kernel[Any], num_moves: int) -> CompiledMove:
    """Return `moved_at` for all traces of a batch like this one, compiled when it is first called.

    The power is an input of the program, so that one serves all of them; it is kept for later runs.

    Args:
        traces: A batch of tempered traces. They are moved once in Python, to find out what stays.
        kernel: As for `moved_at`.
        num_moves: As for `moved_at`.

    Raises:
        MissingPackageError: gen-torch is not installed.
        NotBatchableError: The kernel, or the model in it, cannot be batched.
        BatchStructureError: The kernel changes the structure of traces.
    """
    random = rng_states()
    try:
        layout, settled = find_layout(
            lambda at: _all_moved(at, kernel, num_moves, torch.zeros((), dtype=torch.float64)), traces
        )
    finally:
        set_rng_states(random)
    constants = layout.constants(settled)
    program = _program_of(kernel, num_moves, layout)

    def move(traces: TraceBatch[Any], power: Tensor) -> TraceBatch[Any]:
        return layout.traces(constants, program(constants, _distinct(layout.carry(traces)), power))

    return move


def _distinct(columns: list[Tensor]) -> list[Tensor]:
    """Return the columns, each a tensor of its own.

    Traces as they were drawn have one tensor in several places, and those that a program returns have not:
    without copies, they would need a program of their own.
    """
    places = {id(column): place for place, column in enumerate(columns)}
    return [column if places[id(column)] == place else column.clone() for place, column in enumerate(columns)]


def _all_moved(
    traces: TraceBatch[Any], kernel: Kernel[Any], num_moves: int, power: Tensor
) -> TraceBatch[Any]:
    def move(trace: Trace[Any]) -> Trace[Any]:
        # Made of the trace's own arguments, which a program holds once: then only the power is new.
        call = Call(trace.gen_fn, (power, *trace.args[1:]), trace.kwargs)
        return moved_at(trace, call=call, kernel=kernel, num_moves=num_moves)

    at_once: Callable[[Any], Any] = batch(move)
    return cast("TraceBatch[Any]", at_once(traces))


def _program_of(kernel: Kernel[Any], num_moves: int, layout: Layout) -> Callable[..., list[Tensor]]:
    try:
        return _kept_program(kernel, num_moves, layout)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _program(kernel, num_moves, layout)


def _program(kernel: Kernel[Any], num_moves: int, layout: Layout) -> Callable[..., list[Tensor]]:
    def run(constants: list[Tensor], carry: list[Tensor], power: Tensor) -> list[Tensor]:
        return layout.carry(_all_moved(layout.traces(constants, carry), kernel, num_moves, power))

    return compiled(run, "annealed_smc(compile=True)")


_kept_program = lru_cache(maxsize=32)(_program)
