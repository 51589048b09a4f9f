"""Parts of staged graphs: which operations need what, and graphs of only those."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, make_fx

from gen_torch.layers import down_to


def without_writes(graph: fx.GraphModule) -> fx.GraphModule:
    """Return a graph that computes the same and writes into no tensor, of which parts can be taken."""
    if not any(_writes(node) for node in graph.graph.nodes):
        return graph
    inputs = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
    with down_to(0), disable_proxy_modes_tracing():
        # On stand-ins, also where an operation takes no tensors: a draw must not be made while staging.
        functional = torch.func.functionalize(graph, remove="mutations")
        return make_fx(functional, tracing_mode="fake")(*inputs)


def depending_on(graph: fx.GraphModule, sources: Sequence[fx.Node]) -> set[fx.Node]:
    """Return the nodes that need any of `sources`, these included."""
    late = set(sources)
    for node in graph.graph.nodes:
        if node.op != "output" and any(source in late for source in node.all_input_nodes):
            late.add(node)
    return late


def extract(graph: fx.GraphModule, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]) -> fx.GraphModule:
    """Return the part of a graph that computes some nodes from others."""
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for i, node in enumerate(inputs):
        copies[node] = part.placeholder(f"input_{i}")
        copies[node].meta = dict(node.meta)
    wanted = _needed_for(outputs, set(inputs))
    for node in graph.graph.nodes:
        if node in wanted:
            copies[node] = part.node_copy(node, lambda other: copies[other])
    part.output([copies[node] for node in outputs])
    return fx.GraphModule(graph, part)


def _needed_for(outputs: Sequence[fx.Node], given: set[fx.Node]) -> set[fx.Node]:
    wanted: set[fx.Node] = set()
    left = [node for node in outputs if node not in given]
    while left:
        node = left.pop()
        if node not in wanted:
            wanted.add(node)
            left += [other for other in node.all_input_nodes if other not in given]
    return wanted


def _writes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
