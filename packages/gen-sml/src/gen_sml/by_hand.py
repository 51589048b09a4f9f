"""Python functions for graphs that were made by hand: what they capture is found there."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from gen_sml.codegen import Code, Names, assignment, parameters
from gen_sml.generated import compiled, in_scope
from gen_sml.graph import Argument, Expression, Graph, Visit


def source_of(graph: Graph) -> Callable[..., Any]:
    """Return a function with the name, signature and free variables of a graph; it is not run."""
    names = Names(graph)
    code = Code(graph.name if graph.name.isidentifier() else names.fresh("body"))
    unused, spliced = names.fresh("run"), names.fresh("inline")
    code.add(f"def {code.name}({parameters(graph, unused)}):")
    code.indent()
    for node in graph.nodes:
        if isinstance(node, Visit):
            parts = [
                part.source if isinstance(part, Expression) else repr(part) for part in node.address or ()
            ]
            address = spliced if node.address is None else f"({', '.join(parts)},)"
            code.add(f"{node.target} = ({node.call.source}) @ {address}")
        elif not isinstance(node, Argument):
            code.add(assignment(node))
    code.add(f"return {graph.result.source}")
    return _named(in_scope(compiled(code, graph.name, "body", tuple(graph.scope.cells)), graph.scope), graph)


def _part(part: str | int | Expression) -> str:
    return part.source if isinstance(part, Expression) else repr(part)


def _named(function: FunctionType, graph: Graph) -> FunctionType:
    function.__name__ = function.__qualname__ = graph.name
    function.__module__ = graph.scope.globals.get("__name__", __name__)
    return function
