"""Loops and branches that are Python where they run eagerly, and one compiled loop where they are staged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, fx
from torch._higher_order_ops.cond import cond_op
from torch._higher_order_ops.scan import scan_op
from torch._higher_order_ops.utils import reenter_make_fx
from torch._higher_order_ops.while_loop import while_loop_op
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

from gen_core.readable import transforms_are_active
from gen_core.structure import Structure, put_together, take_apart
from gen_torch.errors import LoopError
from gen_torch.loop_scan import staged_scan
from gen_torch.staging import is_staging, lift

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
        The last carry, and the `y`s stacked along a new first dimension. Where gradients flow through it,
        and in a batch, a staged scan is unrolled: it gives the same, and takes longer to compile.

    Raises:
        LoopError: The carry changes its structure, shape or dtype; or there are no steps.
    """
    steps = torch.arange(length) if xs is None and length is not None else xs
    inputs, structure = take_apart(steps)
    if not inputs or not len(inputs[0]):
        raise LoopError("scan needs at least one step: pass `xs` with a first dimension, or `length`.")
    if is_staging():
        found: tuple[C, Y] | None = staged_scan(function, init, inputs, structure)
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

    It has no gradient where it is staged.

    Raises:
        LoopError: The carry changes its structure, shape or dtype; or it runs in a batch, where no single
            condition says when to stop.
    """
    if transforms_are_active():
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


class _Subgraph(NamedTuple):
    """A body as a graph of its inputs and of what it captured."""

    graph: fx.GraphModule
    captured: tuple[Tensor, ...]
    structure: Structure
    requires_grad: bool
    """Whether a result was differentiable in something captured."""


def _staged_scan(function: Any, init: Any, inputs: list[Tensor], structure: Structure) -> Any:
    carry, carry_structure = _distinct(init)
    size = len(carry)

    def body(*tensors: Tensor) -> Any:
        return function(
            put_together(tensors[:size], carry_structure), put_together(tensors[size:], structure)
        )

    sub = _subgraph(body, [*carry, *(column[0] for column in inputs)])
    if _has_gradient(sub, [*carry, *inputs]):
        return None
    after, y_structure = sub.structure.parts  # type: ignore[union-attr]
    _check_carry(sub, carry, after, carry_structure)
    if len(_outputs(sub.graph)) == 1:
        # Inductor takes the only output of an inner loop for the tuple of its outputs.
        carry_and_ys = _staged_scan(_with_zero(function), init, inputs, structure)
        return carry_and_ys[0], carry_and_ys[1][0]
    outputs = scan_op(sub.graph, carry, inputs, sub.captured)
    return put_together(outputs, after), put_together(outputs, y_structure)


def _staged_while(condition: Any, body: Any, init: Any) -> Any:
    carry, structure = _distinct(init)

    def stop(*tensors: Tensor) -> Any:
        return condition(put_together(tensors, structure))

    def step(*tensors: Tensor) -> Any:
        return body(put_together(tensors, structure))

    test, advance = _subgraph(stop, carry), _subgraph(step, carry)
    if _has_gradient(advance, carry):
        raise LoopError(
            "A staged while_loop has no gradient. Use scan with a fixed number of steps and torch.where, or "
            "detach what enters the loop."
        )
    _check_carry(advance, carry, advance.structure, structure)
    test_graph, advance_graph = _sharing(test, advance, len(carry))
    captured = (*test.captured, *advance.captured)
    outputs = while_loop_op(
        lambda *inputs: test_graph(*inputs)[0], advance_graph, cast(Any, tuple(carry)), captured
    )
    return put_together(outputs, structure)


def _staged_cond(predicate: Tensor, if_true: Any, if_false: Any, operands: tuple[Any, ...]) -> Any:
    tensors, structure = take_apart(operands)
    branches = [
        _subgraph(lambda *inputs, branch=branch: branch(*put_together(inputs, structure)), tensors)
        for branch in (if_true, if_false)
    ]
    yes, no = branches
    if any(_has_gradient(branch, tensors) for branch in branches):
        return _chosen(predicate, if_true(*operands), if_false(*operands))
    if yes.structure != no.structure:
        raise LoopError("The branches of cond return values of different structures.")
    graphs = _sharing(yes, no, len(tensors))
    outputs = cond_op(predicate, *graphs, (*tensors, *yes.captured, *no.captured))
    return put_together(outputs, yes.structure)


def _subgraph(function: Callable[..., Any], examples: Sequence[Tensor]) -> _Subgraph:
    """Stage a body beside the function that is being staged."""
    found: list[tuple[Structure, bool]] = []

    def flat(*inputs: Tensor) -> list[Tensor]:
        outputs, structure = take_apart(function(*inputs), once=False)
        found.append((structure, any(output.requires_grad for output in outputs)))
        return _unaliased([output.detach() for output in outputs], inputs)

    with disable_proxy_modes_tracing():
        graph: fx.GraphModule = reenter_make_fx(flat)(*[example.detach().clone() for example in examples])
    # An operation, so that a captured tensor is known to the function that is being staged.
    captured = tuple(tensor.detach() for tensor in lift(graph))
    _copy_views_of_inputs(graph)
    return _Subgraph(graph, captured, *found[-1])


def _copy_views_of_inputs(graph: fx.GraphModule) -> None:
    """Copy outputs that are views of inputs, as of captured tensors, which no loop may return."""
    (last,) = (node for node in graph.graph.nodes if node.op == "output")
    for output in _outputs(graph):
        source = output
        while isinstance(source.target, torch._ops.OpOverload) and source.target.is_view:
            source = source.all_input_nodes[0]
        if source.op == "placeholder":
            with graph.graph.inserting_before(last):
                copy = graph.graph.call_function(torch.ops.aten.clone.default, (output,))
            copy.meta = dict(output.meta)
            last.replace_input_with(output, copy)
    graph.recompile()


def _has_gradient(sub: _Subgraph, tensors: Sequence[Tensor]) -> bool:
    return torch.is_grad_enabled() and (sub.requires_grad or any(tensor.requires_grad for tensor in tensors))


def _sharing(one: _Subgraph, other: _Subgraph, size: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return both graphs as functions of the same inputs and of what either captured."""
    middle = size + len(one.captured)
    return (
        lambda *inputs: tuple(one.graph(*inputs[:middle])),
        lambda *inputs: tuple(other.graph(*inputs[:size], *inputs[middle:])),
    )


def _check_carry(sub: _Subgraph, carry: Sequence[Tensor], after: Structure, before: Structure) -> None:
    outputs = _outputs(sub.graph)[: len(carry)]
    kinds = [(output.meta["val"].shape, output.meta["val"].dtype) for output in outputs]
    if after != before or kinds != [(tensor.shape, tensor.dtype) for tensor in carry]:
        raise LoopError(
            "The carry of a loop must keep its structure, shapes and dtypes from step to step. Make Python "
            "numbers in it tensors before the loop."
        )


def _outputs(graph: fx.GraphModule) -> Sequence[fx.Node]:
    (outputs,) = next(node for node in graph.graph.nodes if node.op == "output").args
    return list(cast("Sequence[fx.Node]", outputs))


def _with_zero(function: Callable[..., Any]) -> Callable[..., Any]:
    def body(carry: Any, x: Any) -> Any:
        carry, y = function(carry, x)
        return carry, (y, torch.zeros(()))

    return body


def _distinct(init: Any) -> tuple[list[Tensor], Structure]:
    """Take a carry apart, so that no two of its tensors share memory."""
    tensors, structure = take_apart(init, once=False)
    return _unaliased(tensors, ()), structure


def _unaliased(outputs: list[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return outputs of which none shares memory with an input or another."""
    taken = {tensor.untyped_storage()._cdata for tensor in inputs}
    result = []
    for output in outputs:
        storage = output.untyped_storage()._cdata
        result.append(output.clone() if storage in taken else output)
        taken.add(storage)
    return result


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
