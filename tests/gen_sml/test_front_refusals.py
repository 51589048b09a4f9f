"""Refusals: where the caret points, why, and what to write instead."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest

from gen_core import GenError
from gen_sml.errors import NoSourceError, StaticSyntaxError
from gen_sml.parse import parse

Define = Callable[..., Any]

# The first part marked «so» is what the caret is under.
REFUSED = {
    "loop": ("def model(n):\n    for i in range(n):\n        «normal(0, 1) @ ('y', i)»", "`for` loop", "Map"),
    "while": ("def model(n):\n    while n > 0:\n        n = «normal(0, 1) @ 'y'»", "`while` loop", "Recurse"),
    "comprehension": (
        "def model(n):\n    return [«normal(0, 1) @ i» for i in range(n)]",
        "comprehension",
        "Map",
    ),
    "generator": (
        "def model(n):\n    return sum(«normal(0, 1) @ i» for i in range(n))",
        "comprehension",
        "Map",
    ),
    "if": ("def model(n):\n    if n:\n        x = «normal(0, 1) @ 'x'»", "`if` statement", "Switch"),
    "condition of elif": (
        "def model(n):\n    if n:\n        n = 2\n    elif «bernoulli(0.5) @ 'x'»:\n        n = 1",
        "`if` statement",
        "Switch",
    ),
    "condition of while": (
        "def model():\n    while «bernoulli(0.5) @ 'x'»:\n        pass",
        "`while` loop",
        "Recurse",
    ),
    "a closure before a change": (
        "def model():\n    xs = []\n    f = «lambda: xs»\n    xs.append(1)\n    xs = 2\n    return f()",
        "`xs` is assigned again on line 29",
        "another name",
    ),
    "match": (
        "def model(n):\n    match n:\n        case 1:\n            «normal(0, 1) @ 'x'»",
        "`match`",
        "Switch",
    ),
    "ternary": ("def model(n):\n    return (3 if n else «normal(0, 1) @ 'x'»)", "one branch of", "or_else"),
    "and": ("def model(n):\n    return n and «bernoulli(0.5) @ 'x'»", "after `and` or `or`", "Switch"),
    "chain": ("def model(n):\n    return 0 < n < («normal(0, 1) @ 'x'»)", "chain of comparisons", "before"),
    "with": (
        "def model(n):\n    with torch.no_grad():\n        «normal(0, 1) @ 'x'»",
        "`with` statement",
        "Move it",
    ),
    "try": (
        "def model():\n    try:\n        «normal(0, 1) @ 'x'»\n    finally:\n        pass",
        "`try`",
        "Move it",
    ),
    "nested function": (
        "def model():\n    def f():\n        return «normal(0, 1) @ 'x'»\n    return f()",
        "nested f",
        "Recurse",
    ),
    "lambda": (
        "def model():\n    f = lambda: «normal(0, 1) @ 'x'»\n    return f()",
        "`lambda`",
        "generative function of",
    ),
    "class": ("def model():\n    class A:\n        x = «normal(0, 1) @ 'x'»", "nested class", "Move it"),
    "message of an assertion": ("def model(n):\n    assert n, «normal(0, 1) @ 'x'»", "message", "Move it"),
    "parameter in a branch": (
        "def model(n):\n    if n:\n        n = «param('x', 1.0)»",
        "parameter is asked",
        "before",
    ),
    "same address": (
        "def model():\n    a = normal(0, 1) @ 'x'\n    return a + (normal(0, 1) @ «'x'»)",
        "'x' is visited twice: here, and on line 26",
        "address of its own",
    ),
    "address below": (
        "def model(i):\n    normal(0, 1) @ 'y'\n    normal(0, 1) @ «('y', i)»",
        r"\('y', i\) is below 'y', which line 26",
        "address of its own",
    ),
    "address above": (
        "def model(i):\n    normal(0, 1) @ NESTED\n    normal(0, 1) @ «'nested'»",
        r"'nested' is above \('nested', 3\)",
        "address of its own",
    ),
    "same computed address": (
        "def model(i):\n    normal(0, 1) @ ('y', i)\n    normal(0, 1) @ «('y', i)»",
        r"\('y', i\) is visited twice",
        "address of its own",
    ),
    "empty address": ("def model():\n    normal(0, 1) @ «()»", "empty address", "Give it a name"),
    "parts by a star": ("def model(i):\n    normal(0, 1) @ ('y', «*i»)", "how many parts", "one by one"),
    "a part that is no key": (
        "def model(i):\n    normal(0, 1) @ ('y', «2.5»)",
        "2.5 .float. is not a key",
        "('y', 3)",
    ),
    "a tuple under a name": ("def model():\n    normal(0, 1) @ «PAIR»", "A tuple under a name", "Key"),
    "a product": (
        "def model():\n    return «2 * normal(0, 1) @ 'x'»",
        "applies to all of",
        r"\(normal\(0, 1\) @ 'x'\)",
    ),
    "a minus": (
        "def model():\n    return «-normal(0, 1) @ 'x'»",
        "applies to all of",
        r"\(normal\(0, 1\) @ 'x'\)",
    ),
    "a name": (
        "def model(name):\n    return «double(3) @ name»",
        "may visit a call .* or multiply",
        r"@ \(name,\).*matmul",
    ),
    "a method": (
        "def model(net, w):\n    return «net.f(3) @ w»",
        "may visit a call .* or multiply",
        r"torch.matmul",
    ),
    "read before assignment": (
        "def model():\n    y = «x»\n    x = 1\n    return y",
        "`x` is read before",
        "assign `x` first",
    ),
    "early return": (
        "def model(n):\n    if n:\n        «return 3»\n    return 4",
        "returns at its end",
        "Switch",
    ),
    "return in the middle": (
        "def model(n):\n    «return 3»\n    n = 4",
        "returns at its end",
        "last statement",
    ),
    "attribute": ("def model(net):\n    «net.x» = 3", "changes `net` in place", "comprehension"),
    "subscript": ("def model(xs):\n    «xs[0]» = 3", "changes `xs` in place", "torch.where"),
    "subscript in a tuple": ("def model(xs):\n    a, «xs[0]» = 3, 4", "changes `xs` in place", "torch.where"),
    "augmented subscript": ("def model(xs):\n    «xs[0]» += 3", "changes `xs` in place", "torch.where"),
    "subscript as a loop variable": (
        "def model(xs):\n    for «xs[0]» in xs:\n        pass",
        "changes `xs`",
        "torch.where",
    ),
    "method for its effect": (
        "def model(xs):\n    «xs.sort()»\n    return xs",
        "whose result is not used",
        "_ = ...",
    ),
    "append to a global": (
        "def model(x):\n    «RESULTS.append(x)»",
        "changes `RESULTS` in place",
        "comprehension",
    ),
    "append after a choice": (
        "def model():\n    xs = []\n    x = normal(0, 1) @ 'x'\n    «xs.append(x)»",
        "changes `xs` in place",
        "comprehension",
    ),
    "append to an alias": (
        "def model(xs):\n    ys = xs\n    «ys.append(1)»",
        "changes `ys` in place",
        "comprehension",
    ),
    "append in a nested function": (
        "def model():\n    xs = []\n    def f():\n        «xs.append(1)»\n    f()",
        "changes `xs` in place",
        "comprehension",
    ),
    "popping for a value": (
        "def model(xs):\n    return «xs.pop()»",
        "changes `xs` in place",
        "comprehension",
    ),
    "a method of tensors": ("def model(x):\n    return «x.add_(1)»", "changes `x` in place", "torch.where"),
    "elements of elements": (
        "def model(xs):\n    for x in xs:\n        «x.append(1)»",
        "changes `x` in place",
        "compr",
    ),
    "a choice and a change": (
        "def model():\n    xs = [1]\n    «xs[0] = normal(0, 1) @ 'x'»",
        "visits a traced call and changes",
        "a name first",
    ),
    "del": ("def model(x):\n    del «x»", "takes a variable away", "Leave it"),
    "del item": ("def model(x):\n    del «x[0]»", "changes `x` in place", "comprehension"),
    "global": ("def model():\n    «global RESULTS»\n    RESULTS = 3", "`global` assigns", "Return the value"),
    "nonlocal": (
        "def model():\n    x = 1\n    def f():\n        «nonlocal x»\n        x = 2\n    f()",
        "`nonlocal` assigns",
        "Return the value",
    ),
    "yield": ("def model():\n    «yield 3»", "generator", "Map or an Unfold"),
    "yield from": ("def model(xs):\n    return [*(«yield from xs»)]", "generator", "Map or an Unfold"),
    "await": ("async def model(x):\n    «await x»", "coroutine", "without `async`"),
    "locals": ("def model(x):\n    return «locals»()", "`locals` looks at", "Name what you need"),
    "eval": ("def model(x):\n    return «eval»('x')", "`eval` looks at", "Name what you need"),
    "later assignment": (
        "def model():\n    x = 1\n    f = «lambda: x»\n    x = 2\n    return f()",
        "`x` is assigned again on line 28",
        "another name",
    ),
    "assignment of what a lambda reads": (
        "def model(x):\n    x = «lambda: x»\n    return x",
        "`x` is assigned again on line 26",
        "another name",
    ),
    "conditional walrus beside a choice": (
        "def model(n):\n    return n and (y := 3), «normal(0, 1) @ 'x'»",
        "A traced call",
        "before",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_has_no_place_for_is_refused(name: str, define: Define) -> None:
    marked, reason, advice = REFUSED[name]
    if name == "await":
        marked = marked.replace("«", "").replace("»", "")
    source = marked.replace("«", "").replace("»", "")
    model = define(source)

    with pytest.raises(StaticSyntaxError, match=reason) as caught:
        parse(model)

    error = caught.value
    assert isinstance(error, GenError)
    assert isinstance(error, SyntaxError)
    assert error.filename == model.__code__.co_filename
    if "«" in marked:
        before, _, rest = marked.partition("«")
        line = before.split("\n")[-1]
        shown = rest.partition("»")[0]
        assert error.lineno == model.__code__.co_firstlineno + before.count("\n")
        assert (error.offset, error.end_offset) == (len(line) + 1, len(line) + 1 + len(shown))
        carets = str(error).split("\n")[-1]
        assert carets.strip() == "^" * len(shown)
        assert str(error).split("\n")[-2][carets.index("^") :].startswith(shown)
    with pytest.raises(StaticSyntaxError, match=rf"(?s){advice}"):
        parse(model)


def test_python_prints_the_line_and_the_caret(define: Define) -> None:
    with pytest.raises(StaticSyntaxError, match="generator") as caught:
        parse(define("def model(é='é'):\n    é, «y := (yield 3)»".replace("«", "(").replace("»", ")")))

    printed = "".join(traceback.format_exception_only(caught.value))
    assert 'snippet_0.py", line 26\n    é, (y := (yield 3))\n              ^^^^^^^\n' in printed


def test_an_error_survives_copying_and_pickling(define: Define) -> None:
    with pytest.raises(StaticSyntaxError, match="generator") as caught:
        parse(define("def model():\n    yield 3"))

    for other in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert str(other) == str(caught.value)
        assert (other.filename, other.lineno, other.text) == (
            caught.value.filename,
            caught.value.lineno,
            caught.value.text,
        )


METHODS = {
    "super": ("super().f()", "`super` works only inside", "Base.method"),
    "class cell": ("__class__", "`__class__` works only inside", "Name the class"),
    "private attribute": ("self.__x", "`__x` is a class-private name", "_A__x"),
}


@pytest.mark.parametrize("name", METHODS)
def test_what_only_a_method_can_do_is_refused(name: str, define: Define) -> None:
    expression, reason, advice = METHODS[name]
    model = define(f"class A:\n    def f(self):\n        return {expression}\nmodel = A.f")

    with pytest.raises(StaticSyntaxError, match=f"{reason}.*{advice}"):
        parse(model)


def plain() -> int:
    return 3


@wraps(plain)
def wrapped() -> int:
    return plain()


class Callee:
    def __call__(self) -> int:
        return 3


SOURCELESS = {
    "a lambda": (lambda: 3, "lambda has no name.*`def`"),
    "a built-in function": (len, "not a plain Python function.*`def`"),
    "an object": (Callee(), "not a plain Python function.*`def`"),
    "a class": (Callee, "not a plain Python function.*`def`"),
    "a partial application": (partial(plain), "not a plain Python function"),
    "a static method": (staticmethod(plain), "it is not a function. Write @staticmethod above @static"),
    "a wrapped function": (wrapped, "another decorator has wrapped it.*next to `def`"),
}


@pytest.mark.parametrize("name", SOURCELESS)
def test_what_is_no_plain_function_is_refused(name: str) -> None:
    function, message = SOURCELESS[name]

    with pytest.raises(NoSourceError, match=message):
        parse(function)  # type: ignore[arg-type]


def test_a_function_without_a_file_is_refused() -> None:
    scope: dict[str, Any] = {}
    exec("def model(): return 3", scope)

    with pytest.raises(NoSourceError, match=r"source is not in any file.*GraphBuilder"):
        parse(scope["model"])


def test_a_file_that_has_changed_is_refused(define: Define) -> None:
    model = define("def model(): return 3")
    with open(model.__code__.co_filename, "w") as file:
        file.write("x = 1\n")

    with pytest.raises(NoSourceError, match="import it again"):
        parse(model)
