"""Refuses traced calls and parameters where a graph has no place for them, naming what has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NoReturn

from gen_sml.front.names import COMPREHENSIONS

if TYPE_CHECKING:
    from gen_sml.front.steps import Steps


def refuse_event(steps: Steps, around: ast.AST, within: ast.AST | None = None) -> NoReturn:
    """Refuse the first traced call or parameter in `within`, which is a part of `around`."""
    construct, event = next(_events(steps, around, within or around))
    what, advice = _construct(construct)
    if steps.surface.is_param(event):
        steps.source.refuse(
            event,
            f"A parameter is asked for {what}.",
            "Ask for it before, in a statement of its own, and use its value here.",
        )
    steps.source.refuse(event, f"A traced call {what} has no place in a static function.", advice)


def _events(steps: Steps, construct: ast.AST, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield the traced calls and parameters below a node, each with the innermost construct around it."""
    if isinstance(node, _CONSTRUCTS):
        construct = node
    if steps.surface.is_event(node):
        yield construct, node
    elif steps.surface.has_event(node):
        for child in ast.iter_child_nodes(node):
            yield from _events(steps, construct, child)


def _construct(node: ast.AST) -> tuple[str, str]:
    return next((texts for kinds, texts in _TEXTS if isinstance(node, kinds)), _OTHERWISE)


_USE_MAP: Final = (
    "Make the repeated part a generative function and use Map where the repetitions do not depend on each "
    "other, as in `Map(kernel)(xs) @ 'ys'`; Unfold where each continues the one before."
)
_USE_SWITCH: Final = (
    "Use Switch to choose between generative functions, as in `Switch(one, other)(index, ...) @ 'x'`, or "
    "or_else to choose between two."
)
_MOVE_OUT: Final = "Move it out: visit it before, in a statement of its own, and use its value here."

_TEXTS: Final[tuple[tuple[tuple[type[ast.AST], ...], tuple[str, str]], ...]] = (
    ((ast.For,), ("in a `for` loop", _USE_MAP)),
    (
        (ast.While,),
        (
            "in a `while` loop",
            "Use Unfold for a number of steps that is known before the first, Recurse for one that is "
            "decided on the way.",
        ),
    ),
    (COMPREHENSIONS, ("in a comprehension", _USE_MAP)),
    ((ast.If,), ("in an `if` statement", _USE_SWITCH)),
    ((ast.Match,), ("in a `match` statement", _USE_SWITCH)),
    ((ast.IfExp,), ("in one branch of `... if ... else ...`", _USE_SWITCH)),
    ((ast.BoolOp,), ("after `and` or `or`, where it may be skipped,", f"{_USE_SWITCH} Or visit it before.")),
    ((ast.Compare,), ("in a chain of comparisons, where it may be skipped,", _MOVE_OUT)),
    ((ast.Assert,), ("in the message of an `assert`", _MOVE_OUT)),
    ((ast.With,), ("in a `with` statement", _MOVE_OUT)),
    ((ast.Try, ast.TryStar), ("in a `try` statement", _MOVE_OUT)),
    (
        (ast.FunctionDef, ast.AsyncFunctionDef),
        (
            "in a nested function",
            "Make it a generative function of its own, and visit it: `helper(...) @ 'name'`; "
            "one that calls itself can be a Recurse.",
        ),
    ),
    (
        (ast.Lambda,),
        ("in a `lambda`", "Make it a generative function of its own, and visit it: `helper(...) @ 'name'`."),
    ),
    ((ast.ClassDef,), ("in a nested class", _MOVE_OUT)),
)
_OTHERWISE: Final = ("here", _MOVE_OUT)
_CONSTRUCTS: Final = tuple(
    kind
    for kinds, _ in _TEXTS
    for kind in kinds
    if kind not in (ast.IfExp, ast.BoolOp, ast.Compare, ast.Assert)
)
