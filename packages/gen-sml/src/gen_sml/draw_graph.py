"""Graphs as text: to read, and for Graphviz (DOT) and Mermaid to draw.

Arguments, choices and calls, parameters, and computed values have a shape each; an arrow leads from the
step that defines a variable to each step that reads it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from gen_sml.graph import Argument, Compute, Expression, Graph, Node, Parameter, Visit

Kind: TypeAlias = Literal["argument", "visit", "parameter", "compute", "return"]


def to_text(graph: Graph) -> str:
    """Return a graph as indented lines, much as its source would be after every step had a name."""
    lines = [f"{graph.name}{graph.signature}:"]
    for node in graph.nodes:
        if not isinstance(node, Argument):
            lines.append(textwrap.indent(_line(node), "    "))
    return "\n".join([*lines, f"    return {graph.result.source}"])


def to_dot(graph: Graph) -> str:
    """Return a graph in the language of Graphviz."""
    boxes = list(_boxes(graph))
    lines = [
        f"    n{index} [{_DOT_SHAPES[box.kind]}, label={_dot(box.label)}];" for index, box in enumerate(boxes)
    ]
    arrows = [f"    n{start} -> n{end};" for start, end in _arrows(boxes)]
    return "\n".join([f"digraph {_dot(graph.name)} {{", *lines, *arrows, "}"])


def to_mermaid(graph: Graph) -> str:
    """Return a graph as a Mermaid flowchart."""
    boxes = list(_boxes(graph))
    lines = []
    for index, box in enumerate(boxes):
        left, right = _MERMAID_SHAPES[box.kind]
        lines.append(f'    n{index}{left}"{_mermaid(box.label)}"{right}')
    arrows = [f"    n{start} --> n{end}" for start, end in _arrows(boxes)]
    return "\n".join(["flowchart TD", *lines, *arrows])


class _Box(NamedTuple):
    kind: Kind
    label: str
    targets: tuple[str, ...]
    reads: tuple[str, ...]


def _boxes(graph: Graph) -> Iterator[_Box]:
    for node in graph.nodes:
        yield _Box(_kind(node), _line(node), node.targets, node.reads)
    yield _Box("return", f"return {graph.result.source}", (), graph.result.reads)


def _arrows(boxes: list[_Box]) -> Iterator[tuple[int, int]]:
    defined = {target: index for index, box in enumerate(boxes) for target in box.targets}
    for index, box in enumerate(boxes):
        for start in dict.fromkeys(defined[name] for name in box.reads if name in defined):
            yield start, index


def _kind(node: Node) -> Kind:
    if isinstance(node, Argument):
        return "argument"
    if isinstance(node, Visit):
        return "visit"
    return "parameter" if isinstance(node, Parameter) else "compute"


def _line(node: Node) -> str:
    if isinstance(node, Argument):
        return node.name
    if isinstance(node, Visit):
        return f"{node.target} = {node.call.source} @ {show_address(node.address)}"
    if isinstance(node, Compute):
        return f"{node.targets[0]} = {node.body.source}" if node.is_expression else node.body.source
    return f"{node.target} = {node.call.source}"


def show_address(address: tuple[str | int | Expression, ...] | None) -> str:
    """Return an address as it is written after `@`."""
    if address is None:
        return "inline"
    parts = [part.source if isinstance(part, Expression) else repr(part) for part in address]
    if len(parts) > 1:
        return f"({', '.join(parts)})"
    return f"({parts[0]},)" if isinstance(address[0], Expression) else parts[0]


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    # `\l` ends a line that is aligned left, as code is.
    aligned = escaped.replace("\n", "\\l") + "\\l" if "\n" in escaped else escaped
    return f'"{aligned}"'


def _mermaid(text: str) -> str:
    escaped = "".join(f"#{ord(char)};" if char in _MERMAID_SPECIAL else char for char in text)
    indented = [_with_hard_spaces(line) for line in escaped.split("\n")]
    return "<br/>".join(indented)


def _with_hard_spaces(line: str) -> str:
    stripped = line.lstrip(" ")
    return "#160;" * (len(line) - len(stripped)) + stripped


_MERMAID_SPECIAL = frozenset('"#&;<>`\\*_[]{}()')
_DOT_SHAPES: dict[Kind, str] = {
    "argument": "shape=invhouse",
    "visit": "shape=ellipse",
    "parameter": "shape=hexagon",
    "compute": "shape=box",
    "return": "shape=box, peripheries=2",
}
_MERMAID_SHAPES: dict[Kind, tuple[str, str]] = {
    "argument": ("[/", "/]"),
    "visit": ("([", "])"),
    "parameter": ("{{", "}}"),
    "compute": ("[", "]"),
    "return": ("[[", "]]"),
}
