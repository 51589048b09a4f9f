"""Drawings of graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gen_sml.graph import Graph
from gen_sml.parse import parse


def drawn(define: Callable[..., Any]) -> Graph:
    return parse(
        define(
            r"""
            def model(n, unused=3):
                x = normal(0, param("s", 1.0)) @ 'say "hi" \\ <b>'
                y = double(x)
                for i in range(n):
                    z = [y, i]
                return z[0] if n else None
            """
        )
    )


def test_a_graph_prints_as_its_steps(define: Callable[..., Any]) -> None:
    graph = drawn(define)

    assert str(graph) == graph.to_text()
    assert graph.to_text().split("\n") == [
        "model(n, unused=3):",
        "    _s = param('s', 1.0)",
        "    x = normal(0, _s) @ 'say \"hi\" \\\\ <b>'",
        "    y = double(x)",
        "    for i in range(n):",
        "        z = [y, i]",
        "    try:",
        "        z",
        "    except NameError:",
        "        z = _UNBOUND",
        "    return _bound(z, 'z', 31)[0] if n else None",
    ]


def test_dot_has_a_shape_for_each_kind_of_node(define: Callable[..., Any]) -> None:
    assert drawn(define).to_dot().split("\n") == [
        'digraph "model" {',
        '    n0 [shape=invhouse, label="n"];',
        '    n1 [shape=invhouse, label="unused"];',
        "    n2 [shape=hexagon, label=\"_s = param('s', 1.0)\"];",
        '    n3 [shape=ellipse, label="x = normal(0, _s) @ \'say \\"hi\\" \\\\\\\\ <b>\'"];',
        '    n4 [shape=box, label="y = double(x)"];',
        '    n5 [shape=box, label="for i in range(n):\\l    z = [y, i]\\ltry:\\l    z\\l'
        'except NameError:\\l    z = _UNBOUND\\l"];',
        "    n6 [shape=box, peripheries=2, label=\"return _bound(z, 'z', 31)[0] if n else None\"];",
        "    n2 -> n3;",
        "    n3 -> n4;",
        "    n0 -> n5;",
        "    n4 -> n5;",
        "    n0 -> n6;",
        "    n5 -> n6;",
        "}",
    ]


def test_mermaid_escapes_what_would_end_a_label(define: Callable[..., Any]) -> None:
    lines = drawn(define).to_mermaid().split("\n")

    assert lines[0] == "flowchart TD"
    assert lines[1] == '    n0[/"n"/]'
    assert lines[4] == ("    n3([\"x = normal#40;0, #95;s#41; @ 'say #34;hi#34; #92;#92; #60;b#62;'\"])")
    assert lines[6].startswith('    n5["for i in range#40;n#41;:<br/>#160;#160;#160;#160;z = ')
    assert lines[-2:] == ["    n0 --> n6", "    n5 --> n6"]
    assert all(line.count('"') in (0, 2) for line in lines)
