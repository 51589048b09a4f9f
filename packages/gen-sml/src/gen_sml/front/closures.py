"""Functions inside a body, and the variables that they read when they are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from gen_sml.front.names import FUNCTIONS, rename


@final
@dataclass(frozen=True)
class Closure:
    """A nested function, lambda or generator.

    Attributes:
        reads: The names of enclosing scopes that it reads.
        is_passed: Whether it is made where a function is called, which mostly calls it at once.
    """

    node: ast.AST
    reads: frozenset[str]
    is_passed: bool


def closures(tree: ast.AST, is_passed: bool = False) -> Iterator[Closure]:
    """Yield the outermost functions in a tree. A generator that is an argument is consumed at once."""
    if isinstance(tree, (*FUNCTIONS, ast.GeneratorExp)):
        if not (isinstance(tree, ast.GeneratorExp) and is_passed):
            yield Closure(tree, _reads(tree), is_passed)
        return
    for child in ast.iter_child_nodes(tree):
        yield from closures(child, is_passed or isinstance(tree, ast.Call))


def _reads(node: ast.AST) -> frozenset[str]:
    names = set[str]()

    def read(name: ast.Name) -> ast.expr:
        names.add(name.id)
        return name

    rename(node, read, lambda name: name)
    return frozenset(names)
