"""Staged functions with gradients: a graph for the result, and one for its gradients.

The function is staged once more together with `torch.autograd.grad` of its result, so that what it
detaches or computes without gradients stays so. Operations that do not need the incoming gradients make
the forward graph, each done once, random draws too; the others make the backward graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from gen_core import GradientError
from gen_core.structure import take_apart
from gen_torch.graph_parts import depending_on, extract, without_writes
from gen_torch.severed import Severed
from gen_torch.staging import Staged, lift, staged_graph

Runner = Callable[..., list[Tensor]]


class Halves(NamedTuple):
    """The two graphs of a differentiable function."""

    forward: fx.GraphModule
    """Takes the arguments' tensors and `captured`; returns the outputs, then what `backward` needs."""
    backward: fx.GraphModule
    """Takes what the forward graph kept, then a gradient for each output in `varying`."""
    captured: list[Tensor]
    """Tensors that the function found in closures, globals and modules."""
    num_outputs: int
    varying: tuple[int, ...]
    """The outputs that are differentiable."""
    leaves: tuple[int, ...]
    """The inputs, captured ones included, for which `backward` returns gradients."""


def halves(function: Callable[..., Any], tensors: Sequence[Tensor], staged: Staged, name: str) -> Halves:
    """Stage the forward and the backward half of a function that was staged before."""
    given = [i for i, tensor in enumerate(tensors) if tensor.requires_grad]
    found = [tensor for tensor in staged.captured if tensor.requires_grad]

    def joint(*inputs: Tensor) -> list[Tensor]:
        arguments, incoming = inputs[: len(tensors)], inputs[len(tensors) :]
        with torch.enable_grad():
            with Severed(0) as severed:
                outputs = take_apart(function(*arguments)).tensors
            outputs = [severed.of(output) for output in outputs]
            gradients = torch.autograd.grad(
                [outputs[i] for i in staged.varying],
                [*(arguments[i] for i in given), *map(severed.variable_of, found)],
                incoming,
                allow_unused=True,
                materialize_grads=True,
            )
        return [output.detach() for output in (*outputs, *gradients)]

    graph = staged_graph(joint, [*tensors, *(staged.examples[i] for i in staged.varying)], name)
    captured = lift(graph)
    places = {id(tensor): len(tensors) + i for i, tensor in enumerate(captured)}
    leaves = (*given, *(places[id(tensor)] for tensor in found))
    forward, backward = _split(graph, len(tensors), len(staged.varying), len(staged.examples))
    return Halves(forward, backward, captured, len(staged.examples), staged.varying, leaves)


def differentiable(parts: Halves, forward: Runner, backward: Runner) -> Runner:
    """Return a runner whose outputs autograd differentiates through the backward graph."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
            results = forward(*inputs)
            outputs = results[: parts.num_outputs]
            ctx.save_for_backward(*results[parts.num_outputs :])
            ctx.mark_non_differentiable(
                *(output for i, output in enumerate(outputs) if i not in parts.varying)
            )
            return tuple(outputs)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            if torch.is_grad_enabled():
                raise GradientError(
                    "A program has no second derivative, which create_graph=True asks for. Take gradients "
                    "within the function that is given to jit, or run it without jit."
                )
            found = backward(*ctx.saved_tensors, *(gradients[i] for i in parts.varying))
            by_input = dict(zip(parts.leaves, found, strict=True))
            return tuple(by_input.get(i) for i in range(len(ctx.needs_input_grad)))

    def run(*inputs: Tensor) -> list[Tensor]:
        return list(Function.apply(*inputs))  # type: ignore[no-untyped-call]

    return run


def stand_ins(graph: fx.GraphModule) -> list[Tensor]:
    """Return stand-ins for the inputs of a graph, as they were while it was staged."""
    return [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]


def _split(
    graph: fx.GraphModule, num_tensors: int, num_incoming: int, num_outputs: int
) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Return the operations that need no incoming gradient, and those that do."""
    graph = without_writes(graph)
    placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
    incoming = placeholders[num_tensors : num_tensors + num_incoming]
    inputs = placeholders[:num_tensors] + placeholders[num_tensors + num_incoming :]
    late = depending_on(graph, incoming)
    (results,) = next(node for node in graph.graph.nodes if node.op == "output").args
    outputs, gradients = results[:num_outputs], results[num_outputs:]
    needed = [source for node in graph.graph.nodes if node in late for source in node.all_input_nodes]
    # Loop bodies are held by the module, and need no keeping.
    candidates = dict.fromkeys([*needed, *gradients])
    kept = [node for node in candidates if node not in late and node.op != "get_attr"]
    forward = extract(graph, inputs, [*outputs, *kept])
    return forward, extract(graph, [*kept, *incoming], gradients)
