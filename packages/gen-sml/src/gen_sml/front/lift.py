"""Lifts traced calls, parameters and `:=` out of expressions, in the order in which Python evaluates them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeAlias, final

from gen_core import Key
from gen_core.surface import Inline
from gen_sml.front.addresses import Claims
from gen_sml.front.constructs import refuse_event
from gen_sml.front.names import COMPREHENSIONS, rename, variable
from gen_sml.front.steps import Steps
from gen_sml.graph import Expression, Parameter, Visit

Target: TypeAlias = "Callable[[], str]"
"""Makes the variable that gets a value, once everything that the value reads has been read."""


@final
class Lifter:
    """Turns expressions of the source into expressions over variables, and adds the steps before them."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.surface = steps.surface
        self.source = steps.source
        self.claims = Claims(steps.source)

    def lift(self, node: ast.expr) -> ast.expr:
        """Return an expression without traced calls that has the value of `node`."""
        if not self._moves(node):
            made: ast.expr = self.plain(node)
            return made
        if self.surface.is_visit(node) or self.surface.is_param(node):
            return self.event(node, None)
        if isinstance(node, ast.NamedExpr):
            value = self.lift(node.value)
            target = self.steps.define(node.target.id, node)
            self.steps.compute(target, value, node)
            return variable(target, node)
        if isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
            refuse_event(self.steps, node)
        self._check_conditional(node)
        return self._parts(node)

    def event(self, node: ast.expr, target: Target | None) -> ast.expr:
        """Add the step of a traced call or of `param`, and return the variable that gets its value."""
        if isinstance(node, ast.BinOp):
            return self._visit(node, target)
        made = self._parts(node)
        name = target() if target else self.steps.temporary(_hint(node))
        self.steps.add(Parameter(name, self.steps.expression(made, node), self.source.place(node)))
        return variable(name, node)

    def plain(self, tree: Any) -> Any:
        """Return a tree without traced calls, its names replaced by the variables that they stand for."""
        return rename(tree, self.steps.read, lambda name: name)

    def has_conditional_walrus(self, tree: ast.AST) -> bool:
        """Whether `:=` assigns somewhere that is not evaluated exactly once."""
        if isinstance(tree, ast.Lambda):
            return False
        parts = set(map(id, _conditional_parts(tree)))
        return any(
            _has_walrus(child)
            if id(child) in parts or isinstance(tree, COMPREHENSIONS)
            else self.has_conditional_walrus(child)
            for child in ast.iter_child_nodes(tree)
        )

    def _visit(self, node: ast.BinOp, target: Target | None) -> ast.expr:
        call, *parts = self._sequence([node.left, *self._address_parts(node.right)])
        address = self._address(node.right, parts)
        self.claims.claim(address, node.right)
        shown = self.steps.expression(call, node.left)
        hint = next((part for part in reversed(address or ()) if isinstance(part, str)), "value")
        name = target() if target else self.steps.temporary(hint)
        self.steps.add(Visit(name, shown, address, self.source.place(node)))
        return variable(name, node)

    def _address_parts(self, node: ast.expr) -> list[ast.expr]:
        """Return the parts of an address that are computed or written out."""
        if isinstance(self.surface.value_of(node), Inline | Key):
            return []
        if not isinstance(node, ast.Tuple):
            return [node]
        if not node.elts:
            self.source.refuse(node, "The empty address `()` names no choice.", "Give it a name: `@ 'x'`.")
        for part in node.elts:
            if isinstance(part, ast.Starred):
                self.source.refuse(
                    part,
                    "A static function needs to know how many parts an address has.",
                    "Write the parts one by one: `@ ('y', i, j)`.",
                )
        return node.elts

    def _address(
        self, node: ast.expr, parts: Sequence[ast.expr]
    ) -> tuple[str | int | Expression, ...] | None:
        value = self.surface.value_of(node)
        if isinstance(value, Inline):
            return None
        if isinstance(value, Key):
            return value.path
        return tuple([self._part(part) for part in parts])

    def _part(self, node: ast.expr) -> str | int | Expression:
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError):
            return self.steps.expression(node, node)
        if not isinstance(value, str | int):
            self.source.refuse(
                node,
                f"{value!r} ({type(value).__name__}) is not a key.",
                "An address is a string, an integer, or a flat tuple of these: 'x', 3, ('y', 3).",
            )
        return value if isinstance(value, str) else int(value)

    def _parts(self, node: ast.expr) -> ast.expr:
        """Lift the parts of an expression, each of which Python evaluates once, in order."""
        made = copy(node)
        places = list(_places(made))
        lifted = self._sequence([part for part, _ in places])
        for part, (_, put) in zip(lifted, places, strict=True):
            put(part)
        return made

    def _sequence(self, parts: Sequence[ast.expr]) -> list[ast.expr]:
        """Lift expressions that are evaluated one after the other.

        What calls a function before a traced call is computed before it, in a step of its own.
        """
        moves = [self._moves(part) for part in parts]
        lifted = list[ast.expr]()
        for index, part in enumerate(parts):
            made = self.lift(part)
            if any(moves[index + 1 :]) and _has_call(made):
                made = self._kept(made, part)
            lifted.append(made)
        return lifted

    def _kept(self, made: ast.expr, at: ast.expr) -> ast.expr:
        name = self.steps.temporary("value")
        self.steps.compute(name, made, at)
        return variable(name, at)

    def _moves(self, node: ast.expr) -> bool:
        return self.surface.has_event(node) or _has_walrus(node)

    def _check_conditional(self, node: ast.expr) -> None:
        for part in _conditional_parts(node):
            if self.surface.has_event(part):
                refuse_event(self.steps, node, part)


def _places(node: ast.expr) -> list[tuple[ast.expr, Callable[[ast.expr], None]]]:
    """Return the parts of a fresh copy of an expression in order of evaluation, and what replaces each."""
    places = list[tuple[ast.expr, Callable[[ast.expr], None]]]()
    if isinstance(node, ast.Dict):
        node.keys, node.values = list(node.keys), list(node.values)
        for index, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            if key is not None:
                places.append((key, _item(node.keys, index)))
            places += _place(value, _item(node.values, index))
        return places
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            items = list[Any](value)
            setattr(node, name, items)
            for index, item in enumerate(items):
                places += _place(item, _item(items, index))
        else:
            places += _place(value, _field(node, name))
    if isinstance(node, ast.IfExp):  # the only one whose fields are not in order of evaluation
        places.sort(key=lambda place: place[0] is not node.test)
    return places


def _place(value: object, put: Callable[[Any], None]) -> list[tuple[ast.expr, Callable[[ast.expr], None]]]:
    """Return one part; of `*x` and `key=x`, the `x`."""
    if isinstance(value, ast.Starred | ast.keyword | ast.FormattedValue | ast.Slice | ast.JoinedStr):
        # Parts of an expression that are no expression by themselves.
        inner = copy(value)
        put(inner)
        return _places(inner)  # type: ignore[arg-type]
    return [(value, put)] if isinstance(value, ast.expr) else []


def _item(items: list[Any], index: int) -> Callable[[Any], None]:
    return lambda value: items.__setitem__(index, value)


def _field(node: ast.AST, name: str) -> Callable[[Any], None]:
    return lambda value: setattr(node, name, value)


def _conditional_parts(node: ast.AST) -> list[ast.expr]:
    """Return the parts of an expression that Python may not evaluate."""
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return node.values[1:]
    if isinstance(node, ast.Compare):
        return node.comparators[1:]
    if isinstance(node, ast.Assert):
        return [node.msg] if node.msg else []
    return []


def _has_walrus(node: ast.AST) -> bool:
    if isinstance(node, ast.Lambda):
        return False
    return isinstance(node, ast.NamedExpr) or any(map(_has_walrus, ast.iter_child_nodes(node)))


def _has_call(node: ast.AST) -> bool:
    if isinstance(node, ast.Lambda):
        return False
    return isinstance(node, ast.Call) or any(map(_has_call, ast.iter_child_nodes(node)))


def _hint(node: ast.expr) -> str:
    """Return the name of a parameter, if it is written out."""
    first = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return str(first.value) if isinstance(first, ast.Constant) else "param"
