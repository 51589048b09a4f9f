"""The graph of a function: its nodes, what they read, and what they check while they run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gen_sml.check import check_graph
from gen_sml.errors import AugmentedAssignmentError, NoSourceError, UnboundVariableError
from gen_sml.graph import Argument, Compute, Expression, Graph, Parameter, Place, Visit
from gen_sml.parse import parse

Define = Callable[..., Any]


def lines(graph: Graph) -> list[str]:
    return [line.strip() for line in str(graph).split("\n")[1:]]


def test_a_function_becomes_nodes_in_order(define: Define) -> None:
    source = define(
        """
        def model(xs: Tensor, k: int = 2) -> Tensor:
            slope = normal(0, param("scale", 1.0)) @ "slope"
            mean: Tensor = slope * xs
            y = normal(mean, 1) @ ("y", k)
            return y + slope
        """
    )

    graph = parse(source)

    check_graph(graph)
    file, first = source.__code__.co_filename, source.__code__.co_firstlineno
    assert graph.name == "model"
    assert graph.place == Place(file, first)
    assert str(graph.signature) == "(xs: torch.Tensor, k: int = 2) -> torch.Tensor"
    assert graph.scope.globals is source.__globals__
    assert graph.nodes == (
        Argument("xs", Place(file, first)),
        Argument("k", Place(file, first)),
        Parameter("_scale", Expression("param('scale', 1.0)"), Place(file, first + 1)),
        Visit("slope", Expression("normal(0, _scale)", ("_scale",)), ("slope",), Place(file, first + 1)),
        Compute(("mean",), Expression("slope * xs", ("slope", "xs")), Place(file, first + 2)),
        Visit(
            "y",
            Expression("normal(mean, 1)", ("mean",)),
            ("y", Expression("k", ("k",))),
            Place(file, first + 3),
        ),
    )
    assert graph.result == Expression("y + slope", ("y", "slope"))


STEPS = {
    "reassignment": (
        "x = 1\nx = x + 1\nreturn x",
        ["x = 1", "x_2 = x + 1", "return x_2"],
    ),
    "what is called before a choice": (
        "return double(n) - (normal(0, 1) @ 'x')",
        ["_value = double(n)", "_x = normal(0, 1) @ 'x'", "return _value - _x"],
    ),
    "what is only read before a choice": (
        "return n * n + (normal(0, 1) @ 'x') + double(n)",
        ["_x = normal(0, 1) @ 'x'", "return n * n + _x + double(n)"],
    ),
    "inline": ("x = double(n) @ inline\nreturn x", ["x = double(n) @ inline", "return x"]),
    "a key": ("x = normal(0, 1) @ NESTED", ["x = normal(0, 1) @ ('nested', 3)", "return None"]),
    "a computed address": ("normal(0, 1) @ n", ["_value = normal(0, 1) @ (n,)", "return None"]),
    "one target of two": (
        "a, b = pair(n)\nreturn b",
        ["a, b = pair(n)", "return b"],
    ),
    "a list and what it is given": (
        "xs = []\nk = 1\nfor i in range(n):\n    xs.append(k)\nreturn xs",
        ["xs = []", "k = 1", "for i in range(n):", "xs.append(k)", "return xs"],
    ),
    "a second loop": (
        "for i in range(n):\n    k = i\nfor i in range(n):\n    print(k)",
        [
            "for i in range(n):",
            "k = i",
            "try:",
            "k",
            "except NameError:",
            "k = _UNBOUND",
            "for i_2 in range(n):",
            "print(_bound(k, 'k', 29))",
            "return None",
        ],
    ),
    "a variable that is assigned for sure": (
        "if n:\n    k = 1\nelse:\n    k = 2\nreturn k",
        ["if n:", "k = 1", "else:", "k = 2", "return k"],
    ),
    "a constant that grows": (
        "k = 0.0\nfor i in range(n):\n    k += n\nreturn k",
        ["k = 0.0", "k_2 = k", "for i in range(n):", "k_2 += n", "return k_2"],
    ),
    "an argument that grows": (
        "for i in range(3):\n    n += i\nreturn n",
        ["n_2 = _unchanging(n, 'n', '+', 27)", "for i in range(3):", "n_2 += i", "return n_2"],
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_statements_become_steps(name: str, define: Define) -> None:
    body, expected = STEPS[name]
    graph = parse(define("def model(n):\n" + "\n".join(f"    {line}" for line in body.split("\n"))))

    check_graph(graph)
    assert lines(graph) == expected


def test_statements_assign_only_what_is_read_later(define: Define) -> None:
    graph = parse(define("def model(n):\n    for i in range(n):\n        a = b = i\n    return a"))

    assert [node.targets for node in graph.nodes] == [("n",), ("a",)]


def test_a_file_may_have_anything_around_the_function(define: Define) -> None:
    source = define(
        '''
        class Outer:
            class Inner:
                def noise(self):
                    return 0

                @staticmethod
                @(lambda f: f)
                def model(é, /, a: "Undefined" = 3, *rest, b=4, **more):
                    """Text
        that is not indented.
                    """
                    x = normal(é,
                               1) @ "é"; return x

        model = Outer.Inner.model
        '''
    )

    graph = parse(source)

    assert [node.targets[0] for node in graph.nodes] == ["é", "a", "rest", "b", "more", "x"]
    assert graph.nodes[-1].place.line == source.__code__.co_firstlineno + 6


def test_a_method_has_its_object_as_an_argument(define: Define) -> None:
    kind = define("class A:\n    def f(self):\n        return self.x", name="A")

    assert parse(kind.f).nodes == parse(kind().f).nodes
    assert [node.targets for node in parse(kind.f).nodes] == [("self",)]


def test_free_names_are_those_of_the_function(define: Define) -> None:
    source = define("def make(k):\n    def inner(): return k, RESULTS\n    return inner\nmodel = make(3)")

    scope = parse(source).scope

    assert scope.cells["k"] is source.__closure__[0]
    assert scope.globals is source.__globals__


@pytest.mark.parametrize("address", ["('y', double(1))", "('y', k)", "k"])
def test_addresses_that_may_differ_are_allowed_twice(address: str, define: Define) -> None:
    graph = parse(
        define(f"def model(k):\n    normal(0, 1) @ {address}\n    k = k + 1\n    normal(0, 1) @ {address}")
    )

    assert len(list(graph.visits())) == 2


def run_block(graph: Graph, **variables: Any) -> dict[str, Any]:
    names = {**graph.scope.globals, **{name: cell.cell_contents for name, cell in graph.scope.cells.items()}}
    for node in graph.nodes:
        if isinstance(node, Compute):
            source = node.body.source
            exec(f"{node.targets[0]} = {source}" if node.is_expression else source, names, variables)
    variables["result"] = eval(graph.result.source, names, variables)
    return variables


def test_reading_a_variable_that_was_not_assigned_is_an_error(define: Define) -> None:
    graph = parse(define("def model(n):\n    if n:\n        x = 1\n    return x"))

    assert run_block(graph, n=1)["result"] == 1
    with pytest.raises(UnboundVariableError, match=r"'x' was read before .* in model \(.*snippet_0.py:28\)"):
        run_block(graph, n=0)


GROWING = {
    "at the top": "def model(n):\n    n += 1\n    return n",
    "in a loop": "def model(n):\n    for i in range(1):\n        n += 1\n    return n",
    "of elements": "def model(n):\n    for m in [n]:\n        m += 1\n    return m",
}


@pytest.mark.parametrize("name", GROWING)
def test_augmented_assignment_never_changes_what_came_from_outside(name: str, define: Define) -> None:
    graph = parse(define(GROWING[name]))

    assert run_block(graph, n=1)["result"] == 2
    for value, kind in ((torch.ones(2), "a Tensor"), ([1], "a list")):
        with pytest.raises(
            AugmentedAssignmentError, match=rf"would change {kind} in place, in model \(.*Write `"
        ):
            run_block(graph, n=value)


def test_names_of_the_function_are_never_taken_by_ours(define: Define) -> None:
    graph = parse(
        define(
            """
            def model(_x, _bound=4):
                y = _UNBOUND if False else 1
                if _x:
                    z = 2
                return (normal(0, 1) @ "x") + z + _bound + y
            """
        )
    )

    assert [visit.target for visit in graph.visits()] == ["_x_2"]
    assert "__bound(z, 'z'" in graph.result.source
    assert "z = __UNBOUND" in str(graph)


def test_a_function_that_was_edited_and_loaded_again_is_parsed_anew(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    for value in (1, 22):
        path.write_text(f"def model(): return {value}\n")
        scope: dict[str, Any] = {}
        exec(compile(path.read_text(), str(path), "exec"), scope)

        assert parse(scope["model"]).result.source == str(value)


def test_another_function_on_the_same_line_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    path.write_text("def model(n): return n\n")
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    path.write_text("def model(longer): return longer\n")

    with pytest.raises(NoSourceError, match="no longer has its definition on line 1"):
        parse(scope["model"])
