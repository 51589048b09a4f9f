"""Staging: running a function once on stand-ins for tensors, which leaves a graph of tensor operations.

The language, the handlers and all Python are gone from the graph. Tensors that the function did not get
as arguments (parameters, data held by closures) become inputs of the graph too, so that a change of
their contents is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
)
from torch.fx.experimental.proxy_tensor import make_fx

from gen_core.structure import Structure, take_apart
from gen_core.where import where_of
from gen_torch.errors import StagingError
from gen_torch.indexing import IndexingByTensors

if TYPE_CHECKING:
    from collections.abc import Iterator


class Staged(NamedTuple):
    """A function as a graph of tensor operations."""

    graph: fx.GraphModule
    """Takes the argument tensors, then `captured`; returns the tensors of `structure`, without gradient."""
    captured: list[Tensor]
    """Tensors that the function found in closures, globals and modules."""
    structure: Structure
    """The result without its tensors."""
    examples: list[Tensor]
    """Stand-ins for the result's tensors."""
    varying: tuple[int, ...]
    """Which of the result's tensors are differentiable in an argument or captured tensor."""


def stage(function: Callable[..., Any], tensors: Sequence[Tensor], name: str) -> Staged:
    """Stage a function of tensors that returns tensors, traces, choice maps and containers of these.

    Raises:
        StagingError: Its control flow depends on the value of a tensor; names the model and line.
    """
    results: list[tuple[list[Tensor], Structure]] = []

    def flat(*inputs: Tensor) -> list[Tensor]:
        outputs, structure = take_apart(function(*inputs))
        results.append((outputs, structure))
        return [output.detach() for output in outputs]

    graph = staged_graph(flat, tensors, name)
    outputs, structure = results[-1]
    varying = tuple(i for i, output in enumerate(outputs) if output.requires_grad)
    return Staged(graph, lift(graph), structure, [output.detach() for output in outputs], varying)


def staged_graph(
    function: Callable[..., list[Tensor]], tensors: Sequence[Tensor], name: str
) -> fx.GraphModule:
    """Return the operations of a function from tensors to tensors, which may still hold tensors."""
    try:
        with staging(), IndexingByTensors():
            trace = make_fx(function, _DECOMPOSITIONS, tracing_mode="fake", _allow_non_fake_inputs=True)
            return trace(*tensors)
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise StagingError(where_of(error) or name, _reason(error)) from error
    except RuntimeError as error:
        # By name: importing its class takes longer than everything else here.
        if type(error).__name__ != "GuardOnDataDependentSymNode":
            raise
        raise StagingError(where_of(error) or name, _reason(error)) from error


def is_staging() -> bool:
    """Return whether a function is being staged now."""
    return _is_staging.get()


@contextmanager
def staging() -> Iterator[None]:
    """Have loops know that a function is being staged, while the block runs."""
    token = _is_staging.set(True)
    try:
        yield
    finally:
        _is_staging.reset(token)


def lift(graph: fx.GraphModule) -> list[Tensor]:
    """Turn the tensors that a graph holds into inputs, and return them.

    Numbers made while staging, as by `torch.tensor(0.5)`, stay, as operations that compilers fold.
    """
    captured: list[Tensor] = []
    inputs: dict[int, fx.Node] = {}
    last = [node for node in graph.graph.nodes if node.op == "placeholder"]
    held = [node for node in graph.graph.nodes if node.op == "get_attr"]
    for node in held:
        value = getattr(graph, node.target)
        if not isinstance(value, Tensor):
            continue
        if not value.dim() and _is_made_while_staging(node):
            _make_number(graph.graph, node, value)
            continue
        if id(value) not in inputs:
            with _after(graph.graph, last):
                inputs[id(value)] = _placeholder(graph.graph, f"captured_{len(captured)}", value)
            last.append(inputs[id(value)])
            captured.append(value)
        node.replace_all_uses_with(inputs[id(value)])
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    for name in {node.target for node in held if isinstance(getattr(graph, node.target, None), Tensor)}:
        delattr(graph, name)  # compilers take every tensor of a module for an input
    return captured


def _make_number(graph: fx.Graph, node: fx.Node, value: Tensor) -> None:
    for copy in list(node.users):
        with graph.inserting_before(copy):
            number = graph.call_function(
                torch.ops.aten.full.default,
                ([], value.item()),
                {"dtype": value.dtype, "device": value.device, "pin_memory": False},
            )
        number.meta = dict(copy.meta)
        copy.replace_all_uses_with(number)
        graph.erase_node(copy)
    graph.erase_node(node)


def _placeholder(graph: fx.Graph, name: str, value: Tensor) -> fx.Node:
    node = graph.placeholder(name)
    stand_ins = (other.meta.get("val") for other in graph.nodes)
    mode = next((val.fake_mode for val in stand_ins if isinstance(val, FakeTensor)), None)
    if mode is not None:
        node.meta["val"] = mode.from_tensor(value.detach())
    return node


def _after(graph: fx.Graph, nodes: list[fx.Node]) -> Any:
    if nodes:
        return graph.inserting_after(nodes[-1])
    return graph.inserting_before(next(iter(graph.nodes)))


def _is_made_while_staging(node: fx.Node) -> bool:
    copies = (torch.ops.aten.lift_fresh_copy.default, torch.ops.aten.lift_fresh.default)
    return bool(node.users) and all(user.target in copies for user in node.users)


def _reason(error: Exception) -> str:
    if isinstance(error, DynamicOutputShapeException):
        return "the shape of a tensor depends on the value of another"
    return "a branch, a loop, an index or a Python number depends on the value of a tensor"


def _normal(mean: float, std: float, size: list[int], **options: Any) -> Tensor:
    """What `torch.normal` of floats does; compilers know `randn`, and the numbers are the same."""
    options.pop("generator", None)
    options.pop("pin_memory", None)
    return torch.randn(size, **options) * std + mean


_DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {torch.ops.aten.normal.float_float: _normal}

_is_staging: ContextVar[bool] = ContextVar("gen_is_staging", default=False)
