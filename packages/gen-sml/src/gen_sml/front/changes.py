"""Changes in place: which are repeated together with what they change, and which are refused.

A step runs again only where what it reads has changed. A change in place is right if the step that makes
it also makes the object; a change of anything else would be missing, or made twice, after an edit.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final, NoReturn, final

from gen_sml.front.flow import may_read
from gen_sml.front.fresh import augmented_names, bindings_of, freshness
from gen_sml.front.names import FUNCTIONS, bound_names, parameters
from gen_sml.front.source import FunctionNode
from gen_sml.front.steps import Region, Steps
from gen_sml.front.surface import MISSING


@final
@dataclass(frozen=True, slots=True)
class Change:
    """Something that changes an object in place."""

    node: ast.AST
    what: str
    changed: ast.expr
    is_call: bool = False
    is_nested: bool = False


@final
class Changes:
    """Judges the changes in place of one function."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.source = steps.source
        self._modules = _imported(steps.source.node)

    def judge(self, statements: Sequence[ast.stmt]) -> Region | None:
        """Refuse changes of what other statements made.

        Returns:
            The first of the statements right before these that has to become one step with them,
            because these change what they made.
        """
        makers = list[Region]()
        for statement in statements:
            for change in _changes(statement):
                makers += self._makers(change, statements)
            makers += self._touched(statement)
        for identifier in augmented_names(statements):
            makers += self._maker_before(identifier, statements) or []
        return min(makers, key=self.steps.run.index) if makers else None

    def refuse_mixed(self, statement: ast.stmt) -> NoReturn:
        """Refuse a statement that makes traced calls and also changes something in place."""
        self.source.refuse(
            statement,
            "This statement visits a traced call and changes an object in place as well.",
            "Give what the call returns a name first, and use the name.",
        )

    def _makers(self, change: Change, statements: Sequence[ast.stmt]) -> list[Region]:
        """Return the statements that made what `change` changes."""
        changed = change.changed
        if not isinstance(changed, ast.Name):
            if self._is_outside(change) or (change.is_call and freshness(changed) == "object"):
                return []
            self._refuse(change)
        if self._is_outside(change):
            return []
        if changed.id not in self.steps.locals:
            self._refuse(change)
        if change.is_nested or None in bindings_of(changed.id, statements):
            self._refuse(change)
        makers = self._maker_before(changed.id, statements)
        if makers is None:
            self._refuse(change)
        return makers

    def _maker_before(self, identifier: str, statements: Sequence[ast.stmt]) -> list[Region] | None:
        """Return who made an object before `statements`; nobody if they make it; None if it is not fresh."""
        if bindings_of(identifier, statements) and not may_read(identifier, statements):
            return []
        binding = self.steps.bindings.get(identifier)
        if binding is None:  # they fail by themselves
            return []
        if binding.fresh == "object" and binding.region in self.steps.run and binding.region is not None:
            return [binding.region]
        return None

    def _touched(self, statement: ast.stmt) -> list[Region]:
        """Return who made what a function, called for its effect alone, may change: `heappush(heap, x)`."""
        makers = list[Region]()
        for call in _called_for_effect(statement):
            if isinstance(call.func, ast.Name) and call.func.id == "print":
                continue
            for argument in call.args:
                if isinstance(argument, ast.Name) and argument.id in self.steps.bindings:
                    makers += self._maker_before(argument.id, [statement]) or []
        return makers

    def _is_outside(self, change: Change) -> bool:
        """Whether a call is one of a function of a module or class, or writes to a log."""
        root = change.changed
        while isinstance(root, ast.Attribute):
            root = root.value
        if not change.is_call or not isinstance(root, ast.Name):
            return False
        if root.id in self.steps.locals:
            return root.id in self._modules
        value = self.steps.surface.value_of(change.changed)
        return value is not MISSING and isinstance(value, ModuleType | type | logging.Logger)

    def _refuse(self, change: Change) -> NoReturn:
        shown = ast.unparse(change.changed)
        self.source.refuse(
            change.node,
            f"{change.what} changes `{shown}` in place, and `{shown}` was not made by the same statement or "
            f"those right before it, so an edit that runs only some statements again would change it twice "
            f"or not at all.",
            _ADVICE,
        )


def _changes(
    tree: ast.AST, hidden: frozenset[str] = frozenset(), is_nested: bool = False
) -> Iterator[Change]:
    if isinstance(tree, FUNCTIONS):
        body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
        own = [*(argument.arg for argument in parameters(tree.args)), *bound_names(body)]
        for part in body:
            yield from _changes(part, hidden.union(own), True)
        return
    for change in _made_by(tree):
        changed = change.changed
        if _root(changed) not in hidden:
            yield Change(change.node, change.what, changed, change.is_call, is_nested)
    for child in ast.iter_child_nodes(tree):
        yield from _changes(child, hidden, is_nested)


def _made_by(node: ast.AST) -> Iterator[Change]:
    """Yield the changes that one node makes by itself."""
    if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
        kind = "item" if isinstance(node, ast.Subscript) else "attribute"
        verb = "Deleting" if isinstance(node.ctx, ast.Del) else "Assigning"
        yield Change(node, f"{verb} an {kind}", node.value)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        func = node.value.func
        if (
            isinstance(func, ast.Attribute)
            and not _is_changing(func.attr)
            and not isinstance(func.value, ast.Call)
        ):
            yield Change(node.value, f"`.{func.attr}(...)`, whose result is not used,", func.value, True)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_changing(node.func.attr):
        yield Change(node, f"`.{node.func.attr}(...)`", node.func.value, True)


def _imported(function: FunctionNode) -> set[str]:
    """Return the local names that stand for modules, and for nothing else."""
    imports = [node for node in ast.walk(function) if isinstance(node, ast.Import)]
    others = [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return set(bound_names(imports)).difference(others)


def _called_for_effect(statement: ast.stmt) -> list[ast.Call]:
    nodes = [node for node in ast.walk(statement) if isinstance(node, ast.Expr)]
    return [node.value for node in nodes if isinstance(node.value, ast.Call)]


def _is_changing(method: str) -> bool:
    return method in _CHANGING or (method.endswith("_") and not method.endswith("__"))


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


_CHANGING: Final = frozenset(
    [
        "append",
        "extend",
        "insert",
        "pop",
        "popitem",
        "setdefault",
        "appendleft",
        "popleft",
    ]
)
_ADVICE: Final = (
    "Build it in one expression, such as a comprehension or torch.where, or in a helper function outside; "
    "if the call changes nothing, use its result: `_ = ...`."
)
