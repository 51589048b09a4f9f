"""Whether a graph that was made by hand is one that a function could have."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gen_sml.draw_graph import show_address
from gen_sml.errors import GraphError
from gen_sml.front.addresses import collide
from gen_sml.graph import Argument, Compute, Expression, Graph, Node, Visit


def check_graph(graph: Graph) -> None:
    """Raise if a graph is wrong.

    Raises:
        GraphError: A variable is read before it is defined, or is defined twice; the arguments are not
            those of the signature; source is not Python; or two addresses surely collide.
    """
    for reason in _mistakes(graph):
        raise GraphError(graph.name, reason)


def _mistakes(graph: Graph) -> Iterator[str]:
    arguments = [node.name for node in graph.nodes if isinstance(node, Argument)]
    if arguments != list(graph.signature.parameters):
        yield f"its arguments are {arguments}, but its signature is {graph.signature}"
    if any(not isinstance(node, Argument) for node in graph.nodes[: len(arguments)]):
        yield "an argument comes after another node; arguments come first"
    defined = set[str]()
    for node in graph.nodes:
        yield from _unknown(node.reads, defined, _shown(node))
        for target in node.targets:
            if not target.isidentifier():
                yield f"{target!r} is not a name"
            if target in defined:
                yield f"{target!r} is defined twice, the second time by {_shown(node)}"
            defined.add(target)
        yield from _unreadable(node)
    yield from _unknown(graph.result.reads, defined, "the result")
    yield from _unparsed(graph.result, "eval")
    yield from _collisions(graph)


def _unknown(reads: tuple[str, ...], defined: set[str], reader: str) -> Iterator[str]:
    for name in reads:
        if name not in defined:
            known = ", ".join(sorted(defined)) or "none"
            yield f"{reader} reads {name!r}, which no node before it defines; these are defined: {known}"


def _unreadable(node: Node) -> Iterator[str]:
    if isinstance(node, Argument):
        return
    if isinstance(node, Compute):
        if node.is_expression and len(node.targets) != 1:
            yield f"{_shown(node)} is an expression, which has one target, not {len(node.targets)}"
        yield from _unparsed(node.body, "eval" if node.is_expression else "exec")
        return
    yield from _unparsed(node.call, "eval")
    if isinstance(node, Visit):
        if node.address == ():
            yield f"{_shown(node)} has the empty address, which names no choice"
        for part in node.address or ():
            if isinstance(part, Expression):
                yield from _unparsed(part, "eval")


def _unparsed(expression: Expression, mode: str) -> Iterator[str]:
    try:
        tree = ast.parse(expression.source, mode=mode)
    except SyntaxError as error:
        yield f"{expression.source!r} is not Python: {error.msg}"
        return
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in expression.reads:
        if name not in names:
            yield f"{expression.source!r} is said to read {name!r}, and does not"


def _collisions(graph: Graph) -> Iterator[str]:
    seen: list[tuple[str | int | Expression, ...]] = []
    for visit in graph.visits():
        if visit.address is None:
            continue
        for other in seen:
            if collide(visit.address, other):
                shown = f"{show_address(visit.address)} and {show_address(other)}"
                yield f"the addresses {shown} are one, or one is below the other"
        seen.append(visit.address)


def _shown(node: Node) -> str:
    return f"the node of {', '.join(map(repr, node.targets)) or 'no variable'}"
