"""A scan as one loop of a program, in batches and with gradients through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from gen_core.layout import unaliased
from gen_core.structure import Inner, Structure, put_together, take_apart
from gen_torch.layers import differentiable_at, down_to, only_batches_and_gradients, wrapped
from gen_torch.loop_back import Scan
from gen_torch.loop_gradient import DifferentiableLoop
from gen_torch.loop_graphs import check_carry, outputs_of, run_loop
from gen_torch.loop_step import Kind, Look, Step


def staged_scan(
    function: Callable[..., Any], init: Any, columns: Sequence[Tensor], row: Structure, scan: Scan
) -> tuple[Any, Any] | None:
    """Return what `scan` does, as one loop; None where only unrolling gives it.

    That is where gradients flow at more than one layer, as second derivatives need, or in a way that is
    not seen, or where a transform other than batches and reverse gradients is running.

    Args:
        function: The body.
        init: The first carry.
        columns: The tensors of `xs`.
        row: The structure of a row of them.
        scan: What runs the loop back.
    """
    if not only_batches_and_gradients():
        return None
    carry, structure = take_apart(init, once=False)
    layers = {layer for tensor in (*carry, *columns) for layer in differentiable_at(tensor)}
    while len(layers) < 2:
        step = Step(function, structure, row, len(carry), next(iter(layers), None))
        kinds, look = _settled(step, structure, carry, columns)
        if look.layers <= layers:
            return _looped(step, kinds, look, carry, columns, scan) if look.is_closed else None
        layers |= look.layers
    return None


def _settled(
    step: Step, structure: Structure, carry: Sequence[Tensor], columns: Sequence[Tensor]
) -> tuple[list[Kind], Look]:
    """Look at the step until what is carried is of one kind before and after it.

    What a step makes differ from run to run, or differentiable, is so from the first step on.
    """
    size = len(carry)
    kinds = [step.kind(tensor) for tensor in carry]
    # Else Inductor would copy whole columns at each step.
    kinds += [step.kind(column)._replace(is_packed=True) for column in columns]
    while True:
        starts, rows = _physical(kinds, carry, columns)
        with down_to(0):
            examples = [*starts, *(column[0] for column in rows)]
        look = step.look(kinds, examples)
        assert isinstance(look.structure, Inner)
        settled = _joined(kinds, look, starts)
        if look.structure.parts[0] != structure or settled == kinds[:size]:
            check_carry(outputs_of(look.sub.graph), starts, look.structure.parts[0], structure)
            return kinds, look
        kinds = [*settled, *kinds[size:]]


def _joined(kinds: Sequence[Kind], look: Look, starts: Sequence[Tensor]) -> list[Kind]:
    """Return the kinds of what is both the carry before a step and after it."""
    size = len(starts)
    outputs = outputs_of(look.sub.graph)[:size]
    return [
        Kind(
            before.batches | after.batches,
            before.is_variable or after.is_variable,
            before.is_packed or 0 in start.stride() or start.stride() != output.meta["val"].stride(),
        )
        for before, after, start, output in zip(kinds, look.kinds, starts, outputs, strict=False)
    ]


def _physical(
    kinds: Sequence[Kind], carry: Sequence[Tensor], columns: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the first carry, no two tensors of which share memory, and the columns, as physical tensors."""
    size = len(carry)
    starts = [kind.physical(tensor) for tensor, kind in zip(carry, kinds[:size], strict=True)]
    rows = [kind.physical(column, 1) for column, kind in zip(columns, kinds[size:], strict=True)]
    with down_to(0):
        return unaliased(start.detach() for start in starts), [row.detach() for row in rows]


def _looped(
    step: Step,
    kinds: Sequence[Kind],
    look: Look,
    carry: Sequence[Tensor],
    columns: Sequence[Tensor],
    scan: Scan,
) -> tuple[Any, Any]:
    starts, rows = _physical(kinds, carry, columns)
    if step.layer is None:
        found = run_loop(look.sub, starts, rows)
        outputs = [
            wrapped(output, sorted(kind.batches), 0 if i < step.size else 1)
            for i, (output, kind) in enumerate(zip(found, look.kinds, strict=True))
        ]
    else:
        outputs = DifferentiableLoop(step, kinds, look, starts, rows, scan).outputs(carry, columns)
    after, ys = put_together(outputs, look.structure)
    return after, ys
