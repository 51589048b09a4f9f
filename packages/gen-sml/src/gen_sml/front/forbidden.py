"""What no static function may contain, wherever it stands."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import Final

from gen_sml.front.names import FUNCTIONS
from gen_sml.front.source import Source
from gen_sml.front.surface import Surface


def refuse_forbidden(source: Source, surface: Surface) -> None:
    """Refuse the first part of a body that cannot be in a static function."""
    node = source.node
    if isinstance(node, ast.AsyncFunctionDef):
        source.refuse(node, "A coroutine function cannot be static.", "Write `def` without `async`.")
    for statement in node.body:
        for part in _parts(statement, True):
            _judge(source, surface, *part)


def _parts(node: ast.AST, is_own: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield a tree's nodes, in order, each with whether it is in the function's own scope."""
    yield node, is_own
    inside = is_own and not isinstance(node, (*FUNCTIONS, ast.ClassDef))
    for child in ast.iter_child_nodes(node):
        yield from _parts(child, inside)


def _judge(source: Source, surface: Surface, node: ast.AST, is_own: bool) -> None:
    for kinds, reason, advice in _OWN if is_own else ():
        if isinstance(node, kinds):
            source.refuse(node, reason, advice)
    if isinstance(node, ast.Global | ast.Nonlocal):
        word = "global" if isinstance(node, ast.Global) else "nonlocal"
        source.refuse(
            node,
            f"`{word}` assigns a variable of another function or module, which an edit that runs only some "
            f"statements again would assign twice or not at all.",
            "Return the value, or pass it as an argument.",
        )
    if is_own and isinstance(node, ast.Return) and node is not source.node.body[-1]:
        source.refuse(
            node,
            "A static function returns at its end only.",
            "Assign the value and return it as the last statement: `return a if condition else b` chooses "
            "between values, Switch and or_else between generative functions.",
        )
    if is_own and isinstance(node, ast.Delete):
        for target in node.targets:
            if isinstance(target, ast.Name):
                source.refuse(
                    target, "`del` takes a variable away.", "Leave it: unused variables cost nothing."
                )
    _judge_names(source, surface, node)


def _judge_names(source: Source, surface: Surface, node: ast.AST) -> None:
    private = _private_name(node)
    if private is not None and _class_of(source) is not None:
        source.refuse(
            node,
            f"`{private}` is a class-private name, which Python spells differently inside a class.",
            f"Spell it out, `_{_class_of(source)}{private}`, or use a single underscore.",
        )
    if not isinstance(node, ast.Name):
        return
    if node.id in ("super", "__class__"):
        source.refuse(
            node,
            f"`{node.id}` works only inside the method that it is written in, and a static function is "
            f"compiled into others.",
            "Name the class: `Base.method(self, ...)`.",
        )
    value = surface.value_of(node)
    if any(value is getattr(builtins, name) for name in _OF_FRAMES):
        source.refuse(
            node,
            f"`{node.id}` looks at the local variables of the function that is running, which a static "
            f"function does not have.",
            "Name what you need.",
        )


def _private_name(node: ast.AST) -> str | None:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None
    if isinstance(node, ast.keyword):
        name = node.arg
    return name if name and name.startswith("__") and not name.endswith("__") else None


def _class_of(source: Source) -> str | None:
    *outer, _ = source.function.__qualname__.split(".")
    return outer[-1].lstrip("_") if outer and outer[-1] != "<locals>" else None


_COROUTINE: Final = ("A static function cannot wait for anything.", "Do it before, and pass the result in.")
_OWN: Final[tuple[tuple[tuple[type[ast.AST], ...], str, str], ...]] = (
    (
        (ast.Yield, ast.YieldFrom),
        "A generator cannot be a static function.",
        "Return one value; a sequence of choices is a Map or an Unfold.",
    ),
    ((ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef), *_COROUTINE),
)
_OF_FRAMES: Final = ("locals", "vars", "dir", "eval", "exec")
