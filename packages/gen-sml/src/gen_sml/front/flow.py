"""Which names statements assign for sure, and which they may leave as they are."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from gen_sml.front.names import FUNCTIONS, bound_names, parameters


def definitely_assigned(statements: Sequence[ast.stmt]) -> set[str]:
    """Return the names that are assigned whenever the statements end without an error."""
    names = set[str]()
    for statement in statements:
        names |= _assigned_by(statement)
    return names


def may_read(identifier: str, statements: Sequence[ast.stmt]) -> bool:
    """Whether statements may read the value that a name has before them."""
    for statement in statements:
        if _may_read(identifier, statement):
            return True
        if identifier in _assigned_by(statement):
            return False
    return False


def _may_read(identifier: str, node: ast.stmt) -> bool:
    if isinstance(node, ast.For):
        head, body = [node.iter, node.target], [] if identifier in bound_names([node.target]) else node.body
    elif isinstance(node, ast.If | ast.While):
        head, body = [node.test], node.body
    else:
        return _loads(identifier, node)
    ways = (body, node.orelse)
    return any([_loads(identifier, part) for part in head]) or any(
        [may_read(identifier, way) for way in ways]
    )


def _assigned_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.If):
        return _in_all([node.body, node.orelse]) | _walrus(node.test)
    if isinstance(node, ast.For | ast.AsyncFor):
        return _walrus(node.iter)
    if isinstance(node, ast.While):
        return _walrus(node.test)
    if isinstance(node, ast.With | ast.AsyncWith):
        # A context manager may suppress what the body raises.
        inside = definitely_assigned(node.body) if all(map(_lets_through, node.items)) else set[str]()
        return inside | set(bound_names(node.items[:1]))
    if isinstance(node, ast.Try | ast.TryStar):
        ways = [[*node.body, *node.orelse], *(handler.body for handler in node.handlers)]
        return _in_all(ways) | definitely_assigned(node.finalbody)
    if isinstance(node, ast.Match):
        last = node.cases[-1]
        total = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
        return _in_all([case.body for case in node.cases]) if total else set()
    if isinstance(node, ast.Assert):
        return _walrus(node.test)
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return set()
    return set(bound_names([node])) - _maybe(node)


def _lets_through(item: ast.withitem) -> bool:
    """Whether a context manager is one that is known to suppress nothing."""
    call = item.context_expr
    func = call.func if isinstance(call, ast.Call) else None
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    return name in _LET_THROUGH


def _in_all(ways: Sequence[Sequence[ast.stmt]]) -> set[str]:
    open_ways = [definitely_assigned(way) for way in ways if not _leaves(way)]
    return set.intersection(*open_ways) if open_ways else set()


def _leaves(statements: Sequence[ast.stmt]) -> bool:
    return any(isinstance(statement, ast.Raise) for statement in statements)


def _walrus(node: ast.expr) -> set[str]:
    return set(bound_names([node])) - _maybe(node)


def _maybe(tree: ast.AST) -> set[str]:
    """Return the names that `:=` may or may not assign in a statement."""
    plain = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    walrus = [node.target.id for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)]
    return plain.intersection(walrus)


def _loads(identifier: str, tree: ast.AST) -> bool:
    if isinstance(tree, ast.AugAssign) and isinstance(tree.target, ast.Name) and tree.target.id == identifier:
        return True
    if isinstance(tree, ast.Name):
        return tree.id == identifier and isinstance(tree.ctx, ast.Load)
    if isinstance(tree, FUNCTIONS):
        own = [argument.arg for argument in parameters(tree.args)]
        body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
        if identifier in own or identifier in bound_names(body):
            defaults = [*tree.args.defaults, *filter(None, tree.args.kw_defaults)]
            return any(_loads(identifier, default) for default in defaults)
        # A function that reads itself reads what is assigned here, not what was before.
        if getattr(tree, "name", None) == identifier:
            return False
    return any(_loads(identifier, child) for child in ast.iter_child_nodes(tree))


_LET_THROUGH: Final = frozenset(
    [
        "autocast",
        "device",
        "enable_grad",
        "errstate",
        "fork_rng",
        "inference_mode",
        "no_grad",
        "open",
        "set_grad_enabled",
    ]
)
