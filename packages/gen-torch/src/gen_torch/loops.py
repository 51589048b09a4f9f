"""Loops and branches that are Python where they run eagerly, and one compiled loop where they are staged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor
from torch._higher_order_ops.cond import cond_op
from torch._higher_order_ops.while_loop import while_loop_op

from gen_core.layout import in_row_major_order, unaliased
from gen_core.readable import transforms_are_active
from gen_core.structure import Structure, put_together, take_apart
from gen_torch.errors import LoopError
from gen_torch.layers import (
    at,
    batch_sizes,
    differentiable_at,
    down_to,
    only_batches_and_gradients,
    unwrapped,
)
from gen_torch.loop_graphs import Subgraph, check_carry, outputs_of, subgraph
from gen_torch.loop_scan import staged_scan
from gen_torch.staging import is_staging

C = TypeVar("C")
X = TypeVar("X")
Y = TypeVar("Y")
R = TypeVar("R")


def scan(
    function: Callable[[C, Any], tuple[C, Y]], init: C, xs: Any = None, *, length: int | None = None
) -> tuple[C, Y]:
    """Run `carry, y = function(carry, x)` over the first dimension of `xs`.

    Args:
        function: The body. The carry keeps its structure, shapes and dtypes.
        init: The first carry: tensors, traces, batches and containers of these.
        xs: Tensors, or containers of them, with the steps as first dimension; None with `length`.
        length: The number of steps, where `xs` is None; `x` is then the step's number.

    Returns:
        The last carry, and the `y`s stacked along a new first dimension.

    Staged, it is one loop, in batches too, and its gradient is another. Where second derivatives are taken
    through it by nested transforms, and under forward derivatives, it is unrolled: that gives the same, and
    takes longer to compile.

    Raises:
        LoopError: The carry changes its structure, shape or dtype; or there are no steps.
        GradientError: Staged, where the gradient of the loop is itself differentiated, as after
            `create_graph=True`.
    """
    steps = torch.arange(length) if xs is None and length is not None else xs
    inputs, structure = take_apart(steps)
    if not inputs or not len(inputs[0]):
        raise LoopError("scan needs at least one step: pass `xs` with a first dimension, or `length`.")
    if is_staging():
        found: tuple[C, Y] | None = staged_scan(function, init, inputs, structure, scan)
        if found is not None:
            return found
    carry = init
    ys: list[Any] = []
    for step in range(len(inputs[0])):
        carry, y = function(carry, put_together([column[step] for column in inputs], structure))
        ys.append(y)
    return carry, _stacked(ys)


def fori_loop(lower: int, upper: int, body: Callable[[Tensor, C], C], init: C) -> C:
    """Run `carry = body(i, carry)` for i from `lower` to `upper - 1`, an int64 tensor of shape `()`."""
    if upper <= lower:
        return init
    steps = torch.arange(lower, upper)
    return scan(lambda carry, i: (body(i, carry), None), init, steps)[0]


def while_loop(condition: Callable[[C], Tensor], body: Callable[[C], C], init: C) -> C:
    """Run `carry = body(carry)` while `condition(carry)`, a boolean tensor of shape `()`, is true.

    Raises:
        LoopError: The carry changes its structure, shape or dtype; it runs in a batch, where no single
            condition says when to stop; or it is staged, and a gradient flows through it.
    """
    if batch_sizes():
        raise LoopError(
            "while_loop cannot run in a batch: each run would stop at another time. Put the batch in the "
            "loop's body, or use scan with a fixed number of steps and torch.where."
        )
    if is_staging():
        last: C = _staged_while(condition, body, init)
        return last
    carry = init
    while bool(condition(carry)):
        carry = body(carry)
    return carry


def cond(predicate: Tensor, if_true: Callable[..., R], if_false: Callable[..., R], *operands: Any) -> R:
    """Return `if_true(*operands)` where `predicate`, shape `()`, holds, else `if_false(*operands)`.

    In a batch both branches run, and the result is chosen element by element.

    Raises:
        LoopError: The branches return different structures, shapes or dtypes.
    """
    if transforms_are_active():
        chosen: R = _chosen(predicate, if_true(*operands), if_false(*operands))
        return chosen
    if is_staging():
        staged: R = _staged_cond(predicate, if_true, if_false, operands)
        return staged
    return if_true(*operands) if bool(predicate) else if_false(*operands)


class _Branch(NamedTuple):
    """A body that runs as often as a condition says."""

    sub: Subgraph
    structure: Structure
    """Of what it returns."""
    requires_grad: bool
    """Whether a result was differentiable in something captured."""

    def has_gradient(self, tensors: Sequence[Tensor]) -> bool:
        """Return whether gradients flow through it, or into it from `tensors`."""
        return self.requires_grad or any(map(differentiable_at, tensors))


def _branch(function: Callable[..., Any], examples: Sequence[Tensor]) -> _Branch:
    found: list[tuple[Structure, bool]] = []

    def body(*inputs: Tensor) -> list[Tensor]:
        outputs, structure = take_apart(function(*inputs), once=False)
        found.append((structure, any(map(differentiable_at, outputs))))
        return [unwrapped(output, 0, ()) for output in outputs]

    sub = subgraph(body, examples)
    return _Branch(sub, *found[-1])


def _staged_while(condition: Any, body: Any, init: Any) -> Any:
    tensors, structure = take_apart(init, once=False)
    with down_to(0):
        carry = unaliased(in_row_major_order(at(tensor, 0).detach()) for tensor in tensors)
    stop = _branch(lambda *inputs: condition(put_together(inputs, structure)), carry)
    step = _branch(lambda *inputs: body(put_together(inputs, structure)), carry)
    if step.has_gradient(tensors) or not only_batches_and_gradients():
        raise LoopError(
            "A staged while_loop has no gradient: how many steps lead back is not known before it runs. Use "
            "scan with a fixed number of steps and torch.where, or detach what enters the loop."
        )
    check_carry(outputs_of(step.sub.graph), carry, step.structure, structure)
    test_graph, step_graph = _sharing(stop, step, len(carry))
    captured = (*stop.sub.captured, *step.sub.captured)
    with down_to(0):
        outputs = while_loop_op(
            lambda *inputs: test_graph(*inputs)[0], step_graph, cast(Any, tuple(carry)), captured
        )
    return put_together(outputs, structure)


def _staged_cond(predicate: Tensor, if_true: Any, if_false: Any, operands: tuple[Any, ...]) -> Any:
    tensors, structure = take_apart(operands)
    branches = [
        _branch(lambda *inputs, branch=branch: branch(*put_together(inputs, structure)), tensors)
        for branch in (if_true, if_false)
    ]
    yes, no = branches
    if any(branch.has_gradient(tensors) for branch in branches):
        return _chosen(predicate, if_true(*operands), if_false(*operands))
    if yes.structure != no.structure:
        raise LoopError("The branches of cond return values of different structures.")
    graphs = _sharing(yes, no, len(tensors))
    outputs = cond_op(predicate, *graphs, (*tensors, *yes.sub.captured, *no.sub.captured))
    return put_together(outputs, yes.structure)


def _sharing(one: _Branch, other: _Branch, size: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return both graphs as functions of the same inputs and of what either captured."""
    middle = size + len(one.sub.captured)
    return (
        lambda *inputs: tuple(one.sub.graph(*inputs[:middle])),
        lambda *inputs: tuple(other.sub.graph(*inputs[:size], *inputs[middle:])),
    )


def _chosen(predicate: Tensor, yes: Any, no: Any) -> Any:
    left, structure = take_apart(yes, once=False)
    right, other = take_apart(no, once=False)
    if structure != other:
        raise LoopError("The branches of cond return values of different structures.")
    return put_together([torch.where(predicate, a, b) for a, b in zip(left, right, strict=True)], structure)


def _stacked(ys: list[Any]) -> Any:
    columns, structures = zip(*[take_apart(y, once=False) for y in ys], strict=True)
    if any(structure != structures[0] for structure in structures):
        raise LoopError("The steps of scan return values of different structures.")
    return put_together([torch.stack(column) for column in zip(*columns, strict=True)], structures[0])
