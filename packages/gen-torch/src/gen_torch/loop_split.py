"""A step with its vector-Jacobian product as two graphs: what the loop forward does, and what the one back.

The loop back gets the carry and the row of each step, and computes what it needs of the step again if that
is cheap. What is not, and random draws, the loop forward keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import fx

from gen_torch.graph_parts import depending_on, extract, without_writes
from gen_torch.loop_graphs import copy_views_of_inputs, outputs_of
from gen_torch.loop_step import Kind


class Split(NamedTuple):
    """The two graphs."""

    forward: fx.GraphModule
    """Takes the carry, a row and what was captured; returns the outputs of the step, then what is kept."""
    backward: fx.GraphModule
    """Takes what is kept, a row, the gradients of the outputs, and what was captured."""
    num_columns: int
    """Of how many columns it returns gradients."""


def split(
    joint: fx.GraphModule, size: int, kinds: Sequence[Kind], outcomes: Sequence[Kind], num_captured: int
) -> Split:
    """Split the graph of a step.

    Args:
        joint: Takes the carry and a row, gradients of outputs, and what was captured; returns the outputs,
            then gradients.
        size: The number of tensors in the carry.
        kinds: Of the carry and a row.
        outcomes: Of the outputs.
        num_captured: How many of the inputs were captured.
    """
    joint = without_writes(joint)
    placeholders = [node for node in joint.graph.nodes if node.op == "placeholder"]
    captured = placeholders[len(placeholders) - num_captured :]
    inputs, incoming = placeholders[: len(kinds)], placeholders[len(kinds) : len(placeholders) - num_captured]
    results = outputs_of(joint)
    outputs, gradients = results[: len(outcomes)], results[len(outcomes) :]
    rows = inputs[size:]
    kept = _to_keep(gradients, depending_on(joint, incoming), {*rows, *incoming, *captured})
    forward = extract(joint, [*inputs, *captured], [*outputs, *kept])
    backward = extract(joint, [*kept, *rows, *incoming, *captured], gradients)
    _leave_out_detaching(backward)
    _copy_what_is_returned_twice(forward)
    copy_views_of_inputs(forward)
    return Split(forward, backward, sum(kind.is_variable for kind in kinds[size:]))


def _to_keep(gradients: Sequence[fx.Node], late: set[fx.Node], given: set[fx.Node]) -> list[fx.Node]:
    """Return what the loop back needs and neither is given nor computes again."""
    kept: dict[fx.Node, None] = {}
    seen = set(given)
    left = list(gradients)
    while left:
        node = left.pop()
        if node in seen:
            continue
        seen.add(node)
        if node not in late and not _is_cheap(node):
            kept[node] = None
        else:
            left += node.all_input_nodes
    return list(kept)


def _is_cheap(node: fx.Node) -> bool:
    """Return whether computing a node again costs no more than storing it."""
    if node.op == "get_attr":  # the body of an inner loop
        return True
    operation = node.target
    if (
        not isinstance(operation, torch._ops.OpOverload)
        or torch.Tag.nondeterministic_seeded in operation.tags
    ):
        return False
    return operation.is_view or torch.Tag.pointwise in operation.tags or not node.all_input_nodes


def _leave_out_detaching(backward: fx.GraphModule) -> None:
    """Let autograd through what computes gradients: they are linear in those that are given."""
    for module in backward.modules():
        if isinstance(module, fx.GraphModule):
            for node in module.graph.find_nodes(op="call_function", target=torch.ops.aten.detach.default):
                node.replace_all_uses_with(node.all_input_nodes[0])
                module.graph.erase_node(node)
            module.recompile()


def _copy_what_is_returned_twice(graph: fx.GraphModule) -> None:
    (last,) = (node for node in graph.graph.nodes if node.op == "output")
    outputs: list[fx.Node] = []
    for output in outputs_of(graph):
        if output in outputs:
            with graph.graph.inserting_before(last):
                copy = graph.graph.call_function(torch.ops.aten.clone.default, (output,))
            copy.meta = dict(output.meta)
            output = copy
        outputs.append(output)
    last.args = (outputs,)
    graph.recompile()
