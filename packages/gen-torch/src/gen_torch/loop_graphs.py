"""Bodies of loops and branches as graphs beside the function that is being staged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, fx
from torch._higher_order_ops.scan import scan_op
from torch._higher_order_ops.utils import reenter_make_fx
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

from gen_core.layout import in_row_major_order, unaliased
from gen_core.structure import Structure
from gen_torch.errors import LoopError
from gen_torch.layers import at, down_to
from gen_torch.staging import lift


class Subgraph(NamedTuple):
    """A body as a graph of its inputs and of what it captured."""

    graph: fx.GraphModule
    captured: tuple[Tensor, ...]


def subgraph(body: Callable[..., list[Tensor]], examples: Sequence[Tensor]) -> Subgraph:
    """Stage a body of physical tensors, in the transforms that are running.

    Its outputs share no memory with each other or with inputs, which no loop may return.
    """

    def flat(*inputs: Tensor) -> list[Tensor]:
        outputs = body(*inputs)
        with down_to(0):
            return unaliased([in_row_major_order(output.detach()) for output in outputs], inputs)

    with disable_proxy_modes_tracing():
        with down_to(0):
            inputs = [example.detach().clone() for example in examples]
        graph: fx.GraphModule = reenter_make_fx(flat)(*inputs)
    for node, example in zip(graph.graph.nodes, inputs, strict=False):
        node.meta["val"] = example  # what was noted of inputs is wrapped by the transforms
    with down_to(0):
        # An operation, so that a captured tensor is known to the function that is being staged.
        given = [at(example, 0) for example in examples]
        captured = tuple(unaliased([tensor.detach() for tensor in lift(graph)], given))
    copy_views_of_inputs(graph)
    return Subgraph(graph, captured)


def run_loop(sub: Subgraph, starts: Sequence[Tensor], columns: Sequence[Tensor]) -> list[Tensor]:
    """Run a step's graph for each row of the columns; return the last carry and the stacked `y`s."""
    size = len(outputs_of(sub.graph))
    if size == 1:
        _return_a_zero_too(sub.graph)
    with down_to(0), torch.no_grad():
        outputs = scan_op(sub.graph, list(starts), list(columns), sub.captured)
    return list(outputs)[:size]


def check_carry(
    outputs: Sequence[fx.Node], carry: Sequence[Tensor], after: Structure, before: Structure
) -> None:
    """Raise a `LoopError` unless a step's outputs begin with a carry like the one that it got."""
    kinds = [(output.meta["val"].shape, output.meta["val"].dtype) for output in outputs[: len(carry)]]
    if after != before or kinds != [(tensor.shape, tensor.dtype) for tensor in carry]:
        raise LoopError(
            "The carry of a loop must keep its structure, shapes and dtypes from step to step. Make Python "
            "numbers in it tensors before the loop."
        )


def outputs_of(graph: fx.GraphModule) -> list[fx.Node]:
    """Return the nodes that a graph returns."""
    (outputs,) = next(node for node in graph.graph.nodes if node.op == "output").args
    return list(cast("Sequence[fx.Node]", outputs))


def copy_views_of_inputs(graph: fx.GraphModule) -> None:
    """Copy outputs that are views of inputs, as of captured tensors, which no loop may return."""
    (last,) = (node for node in graph.graph.nodes if node.op == "output")
    for output in outputs_of(graph):
        source = output
        while isinstance(source.target, torch._ops.OpOverload) and source.target.is_view:
            source = source.all_input_nodes[0]
        if source.op == "placeholder":
            with graph.graph.inserting_before(last):
                copy = graph.graph.call_function(torch.ops.aten.clone.default, (output,))
            copy.meta = dict(output.meta)
            last.replace_input_with(output, copy)
    graph.recompile()


def _return_a_zero_too(graph: fx.GraphModule) -> None:
    """Give a graph a second output: Inductor takes the only one of an inner loop for the tuple of them."""
    (last,) = (node for node in graph.graph.nodes if node.op == "output")
    outputs = outputs_of(graph)
    example = outputs[0].meta["val"]
    with graph.graph.inserting_before(last):
        options = {"dtype": example.dtype, "device": example.device, "pin_memory": False}
        zero = graph.graph.call_function(torch.ops.aten.full.default, ([], 0), options)
    with disable_proxy_modes_tracing():
        zero.meta = {"val": example.new_zeros(())}
    last.args = ([*outputs, zero],)
    graph.recompile()
