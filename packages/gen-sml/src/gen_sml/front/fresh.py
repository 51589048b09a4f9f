"""What statements surely make themselves, so that changing it in place changes nothing made before."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gen_sml.front.names import bound_names
from gen_sml.front.steps import Fresh


def freshness(node: ast.expr) -> Fresh | None:
    """Return what is known of the value of an expression, by its form alone."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        return "constant"
    if isinstance(node, ast.UnaryOp):
        return "constant" if freshness(node.operand) == "constant" else None
    if isinstance(node, ast.Tuple):
        return "constant" if all(freshness(item) == "constant" for item in node.elts) else None
    if isinstance(node, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return "object"
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.List):  # [0.0] * n
        return "object"
    if isinstance(node, ast.Call):
        func = node.func
        name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
        return "object" if name in _MAKERS else None
    return None


def bindings_of(identifier: str, statements: Sequence[ast.stmt]) -> list[Fresh | None]:
    """Return what is known of each value that statements give a name, augmented assignments left out."""
    found = list[Fresh | None]()
    for node in _own_statements(statements):
        if isinstance(node, ast.AugAssign) or _is_bare(node) or identifier not in bound_names(_heads(node)):
            continue
        value = _assigned_to(identifier, node)
        found.append(freshness(value) if value is not None else None)
    return found


def _assigned_to(identifier: str, node: ast.stmt) -> ast.expr | None:
    """Return the value of `identifier = value`; None if that is not what a statement is."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return node.value if isinstance(target, ast.Name) and target.id == identifier else None


def augmented_names(statements: Sequence[ast.stmt]) -> dict[str, ast.AugAssign]:
    """Return the names that augmented assignments change, each with the first of them."""
    names = dict[str, ast.AugAssign]()
    for node in _own_statements(statements):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            names.setdefault(node.target.id, node)
    return names


def _is_bare(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and node.value is None


def _own_statements(statements: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """Yield statements and those nested in them, in the same scope."""
    for node in statements:
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case) and not isinstance(node, _SCOPES):
            yield from _own_statements(ast.iter_child_nodes(node))


def _heads(node: ast.stmt) -> list[ast.AST]:
    """Return a statement's own parts, without the statements in its body."""
    if isinstance(node, _SCOPES) or not any(
        isinstance(child, ast.stmt) for child in ast.walk(node) if child is not node
    ):
        return [node]
    heads = list[ast.AST]()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler):
            heads.append(ast.ExceptHandler(child.type, child.name, []))
        elif isinstance(child, ast.match_case):
            heads += [child.pattern, *([child.guard] if child.guard else [])]
        elif not isinstance(child, ast.stmt):
            heads.append(child)
    return heads


_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MAKERS: Final = frozenset(
    [
        "list",
        "dict",
        "set",
        "bytearray",
        "defaultdict",
        "deque",
        "Counter",
        "OrderedDict",
        "sorted",
        "zeros",
        "ones",
        "empty",
        "full",
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "eye",
        "tensor",
        "arange",
        "linspace",
        "clone",
        "copy",
        "deepcopy",
    ]
)
