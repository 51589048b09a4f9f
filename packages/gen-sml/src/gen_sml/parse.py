"""Parsing: from a Python function to the graph of a static function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CellType
from typing import Any

from gen_sml.front import Source, read_body
from gen_sml.graph import Graph, Scope


def parse(function: Callable[..., Any]) -> Graph:
    """Return the graph of a plain Python function; of a method, `self` is its first argument.

    Traced calls and parameters become nodes, in Python's order of evaluation. Every other expression
    becomes a deterministic node, and so do consecutive statements that belong together: a loop with its
    body, or a list with the statements that append to it. A variable that is assigned again gets a new
    name, so each node defines variables that no other node defines.

    Raises:
        NoSourceError: `function` is no plain function, or has no source.
        StaticSyntaxError: Its body has something that a graph has no place for: a traced call in a loop or
            in a branch, an address that is visited twice, a change in place of what others made.
    """
    source = Source.of(function)
    body = read_body(source)
    cells = {name: CellType(value) for name, value in body.helpers.items()}
    return Graph(
        name=source.function.__name__,
        signature=inspect.signature(source.function),
        nodes=body.nodes,
        result=body.result,
        scope=Scope(source.function.__globals__, {**source.cells, **cells}),
        place=source.place(source.node),
    )
