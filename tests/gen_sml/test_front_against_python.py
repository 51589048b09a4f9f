"""Graphs do what their source does: same values, same random numbers, same order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gen_core import Call
from gen_dml import gen
from gen_sml.graph import Argument, Compute, Expression, Graph, Visit
from gen_sml.parse import parse


def interpreter(graph: Graph) -> Callable[..., Any]:
    """Return a function that goes through the nodes of a graph, one by one."""

    def interpreted(*args: Any, **kwargs: Any) -> Any:
        cells = {name: cell.cell_contents for name, cell in graph.scope.cells.items()}
        bound = graph.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        names = {**graph.scope.globals, **cells}
        variables: dict[str, Any] = dict(bound.arguments)

        def value_of(expression: Expression) -> Any:
            reads = {name: variables[name] for name in expression.reads}
            return eval(expression.source, {**names, **reads})

        for node in graph.nodes:
            if isinstance(node, Argument):
                continue
            if isinstance(node, Visit):
                call: Call[Any] = value_of(node.call)
                parts = [
                    value_of(part) if isinstance(part, Expression) else part for part in node.address or ()
                ]
                variables[node.target] = call @ tuple(parts)
            elif isinstance(node, Compute) and not node.is_expression:
                inside = {**names, **{name: variables[name] for name in node.reads}}
                exec(node.body.source, inside)
                variables.update({target: inside[target] for target in node.targets})
            elif isinstance(node, Compute):
                variables[node.targets[0]] = value_of(node.body)
            else:
                variables[node.target] = value_of(node.call)
        return value_of(graph.result)

    return interpreted


MODELS = {
    "nothing": "def model(): pass",
    "a docstring and a result": 'def model():\n    """Say it."""\n    return 3',
    "one choice": 'def model():\n    x = normal(0, 1) @ "x"\n    return x',
    "returned choice": 'def model():\n    return normal(0, 1) @ "x"',
    "bare choice": 'def model():\n    normal(0, 1) @ "x"',
    "choices in an expression": """
        def model():
            y = 2 * (normal(0, 1) @ "a") + double(normal(0, 1) @ "b")
            return y - (normal(y, 1) @ "c")
        """,
    "a choice in the arguments of another": """
        def model():
            return normal(normal(0, 1) @ "loc", 1 + (bernoulli(0.5) @ "wide") * 2) @ "x"
        """,
    "untraced randomness before a choice": """
        def model():
            return normal(0, 1).sample() + 10 * (normal(0, 1) @ "x") + 100 * normal(0, 1).sample()
        """,
    "untraced randomness in all kinds of places": """
        def model():
            s = lambda: normal(0, 1).sample()
            d = {s(): s(), "k": normal(0, 1) @ "a", s(): normal(s(), 1) @ "b"}
            t = (s(), [s(), normal(0, 1) @ "c", s()], {s()})
            u = f"{s()}{normal(0, 1) @ 'd'}{s():.3f}"
            v = s() < (normal(0, 1) @ "e")
            w = torch.stack([s(), s()])[int(bernoulli(0.5) @ "f")]
            return [float(x) for x in [*d.values(), t[0], *t[1], *t[2], v, w]], u
        """,
    "untraced randomness before a computed address": """
        def model():
            return normal(normal(0, 1).sample(), 1) @ ("y", int(normal(0, 9).sample()), bernoulli(0.5) @ "z")
        """,
    "choices in starred and keyword arguments": """
        def model():
            def f(*args, **kwargs):
                return sum(args) + 10 * sum(kwargs.values())
            xs = [normal(0, 1).sample(), normal(0, 1) @ "a"]
            return f(*xs, *[normal(0, 1) @ "b"], c=normal(0, 1) @ "c", **{"d": normal(0, 1) @ "d"})
        """,
    "a method of a value made before a choice": """
        def model():
            return normal(0, 1).sample().add(normal(0, 1) @ "x")
        """,
    "keyword arguments of a call": 'def model(k=2.0):\n    return normal(loc=k, scale=1.0) @ "x"',
    "star arguments of a call": """
        def model(*args, **kwargs):
            a = (0.0,)
            return normal(*a, **{"scale": 2.0}, **kwargs) @ "x", args
        """,
    "reassignment": """
        def model():
            x = normal(0, 1) @ "x"
            x = x + 1
            y = x
            x = normal(x, 1) @ "x2"
            x, y = y, x
            return x, y
        """,
    "a name that is taken": """
        def model(x_2=5.0):
            x = 1.0
            x = x + x_2
            x = [x for x in [x]][0]
            return x + x_2
        """,
    "a walrus": """
        def model():
            y = (x := normal(0, 1) @ "x") + (z := x + 1) * (x := 3.0)
            return x, y, z
        """,
    "a walrus that reads the old value first": """
        def model():
            x = 2.0
            return x + (x := normal(0, 1) @ "x") + x
        """,
    "a conditional walrus": """
        def model(n=3):
            found = n > 2 and (big := n * 2)
            xs = [last := i for i in range(n)]
            return (big if (little := n < 9) else 0), xs, last, little
        """,
    "targets": """
        def model():
            a, (b, *c) = pair(normal(0, 1) @ "x")[0], (2, 3, 4)
            p = q = [d, e] = pair(normal(0, 1) @ "y")
            r = (s, *t) = pair(1)
            u: Tensor = normal(0, 1) @ "u"
            w: int
            return a, b, c, d, e, p, q, r, s, t, u
        """,
    "augmented assignment of numbers": """
        def model():
            n = 1
            n += 2
            n **= 2
            name = "a"
            name += "b"
            n -= int(bernoulli(0.5) @ "x")
            return n, name
        """,
    "a total over a loop": """
        def model():
            x = normal(0, 1) @ "x"
            total = 0.0
            for i in range(3):
                total += i * x
            return total, i
        """,
    "appending": """
        def model(n=3):
            x = normal(0, 1) @ "x"
            squares = []
            for i in range(n):
                squares.append(i * x)
                squares += [i]
            table = {}
            table["k"] = x
            counts = torch.zeros(3)
            counts[1] += 2
            return torch.stack([*map(torch.as_tensor, squares)]), table, counts
        """,
    "heaps": """
        def model():
            import heapq
            heap = [5, 7]
            heapq.heappush(heap, 3)
            return heap
        """,
    "loops and branches": """
        def model(n=4):
            total, k = 0, 0
            while True:
                k += 1
                if k > n:
                    break
                if k % 2:
                    continue
                total = total + k
            else:
                total = -1
            if total > 3:
                sign = 1
            elif total > 100:
                sign = 2
            else:
                sign = -1
            for i in []:
                k = 99
            return normal(total, 1) @ "x", k, sign
        """,
    "a variable that is assigned on some ways only": """
        def model(n=4):
            if n > 3:
                x = 1
            if n > 100:
                x = 2
            for i in range(n):
                y = i
            try:
                z = 1 / 0
            except ZeroDivisionError as error:
                z = str(error)
            with torch.no_grad():
                w = z
            match n:
                case 4:
                    v = 1
                case _:
                    v = 2
            return x, y, z, w, v
        """,
    "heads of statements": """
        def model(n=4):
            if bernoulli(0.5) @ "a":
                x = 1
            else:
                x = 2
            for i in range(2 * int(uniform_discrete(1, 3) @ "b")):
                x = x + i
            match int(uniform_discrete(1, 3) @ "c"):
                case 1:
                    x = -x
                case y if y > 1:
                    x = x * y
            return x, i
        """,
    "nested functions": """
        def model(n=4):
            def factorial(k):
                return 1 if k == 0 else k * factorial(k - 1)
            scale = 2.0
            square = lambda x, scale=scale: scale * x ** 2
            class Box:
                size = n
                def double(self):
                    return 2 * self.size
            return factorial(n), square(normal(0, 1) @ "x"), Box().double()
        """,
    "a name that functions and comprehensions have too": """
        def model(x=1.0):
            x = x + 1
            ys = [x for x in range(3)]
            zs = {x: y for x in ys for y in [x] if x}
            f = lambda x: x + 1
            def g(y, z=x):
                x = y
                return x + z
            return x, ys, zs, f(1), g(2), sum(y + x for y in ys)
        """,
    "imports": """
        def model():
            import math
            import os.path
            from math import pi as tau, sqrt
            math = math.floor(tau)
            import math as math
            import os.path
            return math.pi, tau, sqrt(2.0), os.path.join("a", "b")
        """,
    "parameters": """
        def model():
            y = normal(2 * param("loc", 1.0), param("scale", lambda: torch.tensor(2.0))) @ "y"
            return y + param("shift", 3.0)
        """,
    "keys and names": """
        def model(i=7):
            a = normal(0, 1) @ SLOPE
            b = normal(0, 1) @ NESTED
            c = normal(0, 1) @ NAME
            d = normal(0, 1) @ i
            e = normal(0, 1) @ f"e{i}"
            f = normal(0, 1) @ ("f" + str(i))
            g = normal(0, 1) @ ("g", i, "h")
            h = normal(0, 1) @ (i + 1,)
            k = normal(0, 1) @ -1
            return a, b, c, d, e, f, g, h, k
        """,
    "matrices": """
        def model():
            A = torch.ones(2, 2)
            x = normal(torch.zeros(2), 1) @ "x"
            return A @ x + A.t() @ x + torch.ones(2, 2) @ WEIGHTS @ x + A @ A.T @ x + A.clone() @ x
        """,
    "assertions": """
        def model(n=3):
            assert n > 2, f"{n} is small"
            assert (normal(0, 1) @ "x") < 100
            return n
        """,
    "ternaries and chains": """
        def model(n=3):
            a = n if bernoulli(0.5) @ "a" else -n
            b = (bernoulli(0.5) @ "b") and n or -n
            c = (normal(0, 1) @ "c") < (normal(0, 1) @ "d") < 3
            return a, b, c
        """,
    "subscripts and slices": """
        def model():
            xs = torch.arange(6.0)
            return xs[1 : 2 + int(bernoulli(0.5) @ "a")], xs[int(uniform_discrete(0, 3) @ "k")]
        """,
    "distributions by their module": """
        def model():
            return gen_distributions.normal(0, 1) @ "x" + gen_core.param("p", 1.0)
        """,
    "context managers": """
        def model():
            import contextlib
            x = 1
            with contextlib.suppress(ZeroDivisionError):
                x = 1 / 0
            with torch.no_grad() as nothing, torch.enable_grad():
                y = normal(x, 1).sample()
            return x, y, nothing
        """,
    "values that loops leave as they are": """
        def model(n=0):
            i, x, y, z = 5, 6, 7, 8
            for i in range(n):
                x = i
            while n:
                y = 1
            for z in []:
                pass
            else:
                z = z + 1
            return normal(0, 1) @ "x", i, x, y, z
        """,
    "closures": """
        def make(scale):
            def inner():
                return normal(0, scale) @ "x" + late
            late = 2.0
            return inner
        model = make(3.0)
        """,
    "effects": """
        def model():
            torch.manual_seed(3)
            print("seen")
            return normal(0, 1) @ "x"
        """,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_graph_does_what_its_source_does(name: str, define: Callable[..., Any]) -> None:
    source = define(MODELS[name])
    expected, expected_state = outcome(source)
    given, state = outcome(interpreter(parse(source)))

    assert repr(given.choices) == repr(expected.choices)
    assert repr(given.retval) == repr(expected.retval)
    assert torch.equal(given.score, expected.score)
    assert torch.equal(state, expected_state)


def outcome(function: Callable[..., Any]) -> tuple[Any, torch.Tensor]:
    torch.manual_seed(7)
    trace = gen(function).simulate()
    return trace, torch.get_rng_state()


@pytest.mark.parametrize("seed", range(30))
def test_random_bodies_do_what_they_do_in_python(seed: int, define: Callable[..., Any]) -> None:
    source = define(RandomBody(random.Random(seed)).text())
    expected, expected_state = outcome(source)
    given, state = outcome(interpreter(parse(source)))

    assert repr(given.choices) == repr(expected.choices)
    assert repr(given.retval) == repr(expected.retval)
    assert torch.equal(state, expected_state)


class RandomBody:
    """Writes bodies that assign, reassign, branch, loop, and draw traced and untraced numbers."""

    NAMES = ("a", "b", "c", "d")

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0

    def text(self) -> str:
        starts = [f"{name} = {index}.0" for index, name in enumerate(self.NAMES)]
        statements = [line for _ in range(14) for line in self.statement(traced=True)]
        result = f"return {self.expression(2, True)}, {', '.join(self.NAMES)}"
        return "def model():\n" + "".join(f"    {line}\n" for line in [*starts, *statements, result])

    def statement(self, traced: bool) -> list[str]:
        name, other = self.chance.sample(self.NAMES, 2)
        kind = self.chance.randrange(8)
        if kind == 0:
            return [f"{name}, {other} = {self.expression(2, traced)}, {self.expression(2, traced)}"]
        if kind == 1:
            return [f"{name} = {other} = {self.expression(2, traced)}"]
        if kind == 2:
            otherwise = ["else:", *self.body()] if self.chance.random() < 0.5 else []
            return [f"if {self.expression(1, traced)} > 0:", *self.body(), *otherwise]
        if kind == 3:
            return [f"for {name} in range({self.chance.randrange(3)}):", *self.body()]
        if kind == 4:
            third = self.chance.choice(self.NAMES)
            return [
                f"{name} = sum([{other} * {third} for {other} in (1, 2)])",
                f"{name} = sum([k * {self.expression(2, False)} for k in (1, 2)])",
            ]
        if kind == 5:
            return [f"xs = [{name}]", f"xs.append({other})", f"{name} = {other} + len(xs)"]
        return [f"{name} = {self.expression(3, traced)}"]

    def body(self) -> list[str]:
        return [f"    {line}" for _ in range(self.chance.randint(1, 3)) for line in self.statement(False)]

    def expression(self, depth: int, traced: bool) -> str:
        kind = self.chance.randrange(8) if depth else 0
        if kind in (0, 1):
            return self.chance.choice(self.NAMES)
        inner, other = self.expression(depth - 1, traced), self.expression(depth - 1, traced)
        if kind == 2 and traced:
            self.count += 1
            return f"(normal({inner}, 1.0) @ ('x', {self.count}))"
        if kind == 3:
            return f"normal({inner}, 1.0).sample()"
        if kind == 4:
            return f"({self.chance.choice(self.NAMES)} := {inner} + {other})"
        if kind == 5:
            return f"double({inner})"
        if kind == 6:
            return f"pair({inner})[int({other} > 0)]"
        return f"({inner} - 0.5 * {other})"
