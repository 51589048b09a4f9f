"""Graphs that are built by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.distributions.constraints import positive

from gen_core import Key, inline
from gen_distributions import normal
from gen_sml.build import GraphBuilder
from gen_sml.check import check_graph
from gen_sml.errors import GraphError
from gen_sml.graph import Argument, Compute, Expression, Graph, Node, Place, Visit


def line() -> GraphBuilder:
    build = GraphBuilder("line")
    xs = build.argument("xs")
    k = build.argument("k", 3)
    slope = build.visit(normal, 0.0, 2.0, address="slope")
    scale = build.param("scale", 1.0, positive)
    mean = build.compute(torch.mul, slope, xs)
    low, high = build.compute(torch.aminmax, mean, targets=2)
    y = build.visit(normal, loc=mean, scale=scale, address=("y", k))
    build.returns({"y": y, "ends": [low, (high,)], "none": ()})
    return build


def test_a_built_graph_reads_as_its_source_would() -> None:
    assert str(line().graph()).split("\n") == [
        "line(xs, k=3):",
        "    slope = normal(0.0, 2.0) @ 'slope'",
        "    scale = param('scale', 1.0, GreaterThan)",
        "    mul_value = mul(slope, xs)",
        "    (aminmax_value, aminmax_value_2, ) = aminmax(mul_value)",
        "    y = normal(loc=mul_value, scale=scale) @ ('y', k)",
        "    return {'y': y, 'ends': [aminmax_value, (aminmax_value_2,)], 'none': ()}",
    ]


def test_a_built_graph_knows_its_scope_and_places() -> None:
    graph = line().graph()

    assert graph.scope.cells["normal"].cell_contents is normal
    assert graph.scope.cells["mul"].cell_contents is torch.mul
    assert {node.place.file for node in graph.nodes} == {__file__}
    assert [node.place.line - graph.place.line for node in graph.nodes] == list(range(1, 8))


def test_addresses_may_be_keys_and_inline() -> None:
    build = GraphBuilder("f")
    i = build.argument("i")
    addresses: list[object] = [Key("a", 1), 3, ("b", i), inline, i]
    for address in addresses:
        build.visit(normal, 0, 1, address=address)

    made = [visit.address for visit in build.graph().visits()]
    assert made == [("a", 1), (3,), ("b", Expression("i", ("i",))), None, (Expression("i", ("i",)),)]


def test_constants_without_source_get_names_and_are_shared() -> None:
    build = GraphBuilder("f")
    value = torch.ones(2)
    build.visit(normal, value, value, address="x")
    build.visit(normal, float("inf"), [1, "a", None, True, {"k": value}], address="class")

    graph = build.graph()

    assert [visit.call.source for visit in graph.visits()] == [
        "normal(Tensor, Tensor)",
        "normal(float, [1, 'a', None, True, {'k': Tensor}])",
    ]
    assert [visit.target for visit in graph.visits()] == ["x", "_class"]


def test_arguments_come_first() -> None:
    build = line()

    with pytest.raises(GraphError, match="line is wrong: the argument 'z' comes after a step"):
        build.argument("z")
    with pytest.raises(GraphError, match="'a b' cannot name"):
        GraphBuilder("f").argument("a b")


PLACE = Place("here.py", 1)
X = Visit("x", Expression("f()"), ("x",), PLACE)
WRONG: dict[str, tuple[list[Node], str]] = {
    "unknown variable": ([Visit("y", Expression("f(z)", ("z",)), ("y",), PLACE)], "reads 'z', which no node"),
    "later variable": (
        [Compute(("y",), Expression("x", ("x",)), PLACE), X],
        "reads 'x', which no node before",
    ),
    "defined twice": ([X, Compute(("x",), Expression("1"), PLACE)], "'x' is defined twice"),
    "same address": ([X, replace(X, target="y")], "'x' and 'x' are one, or one is below"),
    "address below": ([X, replace(X, target="y", address=("x", 3))], r"\('x', 3\) and 'x' are one"),
    "empty address": ([replace(X, address=())], "empty address"),
    "unknown argument": ([Argument("n", PLACE)], "its arguments are"),
    "no name": ([replace(X, target="a b")], "'a b' is not a name"),
    "no Python": ([replace(X, call=Expression("f("))], "is not Python"),
    "part that is not Python": ([replace(X, address=(Expression("1 +"),))], "is not Python"),
    "claims to read": (
        [X, Compute(("y",), Expression("1", ("x",)), PLACE)],
        "is said to read 'x', and does not",
    ),
    "targets of an expression": (
        [Compute(("a", "b"), Expression("1"), PLACE)],
        "which has one target, not 2",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_graphs_are_refused(name: str) -> None:
    nodes, message = WRONG[name]
    empty = GraphBuilder("f").graph()
    graph = Graph("f", empty.signature, tuple(nodes), empty.result, empty.scope, PLACE)

    with pytest.raises(GraphError, match=f"graph of f is wrong: .*{message}"):
        check_graph(graph)


def test_a_result_must_be_defined() -> None:
    with pytest.raises(GraphError, match="the result reads 'y'"):
        check_graph(replace(GraphBuilder("f").graph(), result=Expression("y", ("y",))))
