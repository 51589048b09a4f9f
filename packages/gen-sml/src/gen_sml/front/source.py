"""The source of a function: its syntax tree, in the lines and columns of the user's file."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import CellType, FunctionType, MethodType
from typing import Any, NoReturn, final

from gen_sml.errors import NoSourceError, Span, StaticSyntaxError
from gen_sml.graph import Place

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@final
@dataclass(frozen=True, eq=False)
class Source:
    """A function and its source."""

    function: FunctionType
    node: FunctionNode
    file: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Source:
        """Find the source of a plain Python function, or of the function of a bound method.

        Raises:
            NoSourceError: It is no plain function, or its source is not to be had.
        """
        plain = _plain(function)
        file = inspect.getsourcefile(plain) or plain.__code__.co_filename
        linecache.checkcache(file)  # a module may have been edited and loaded again
        lines = tuple(linecache.getlines(file, plain.__globals__))
        if not lines:
            raise NoSourceError(
                _name(plain),
                f"its source is not in any file ({file})",
                "Define it in a module, a script or a notebook, or build its graph with GraphBuilder.",
            )
        tree = _parsed(lines)
        node = _find(tree, plain) if tree is not None else None
        if node is None:
            raise NoSourceError(
                _name(plain),
                f"{file} no longer has its definition on line {plain.__code__.co_firstlineno}",
                "The file was changed after it was imported: import it again.",
            )
        return cls(plain, node, file, lines)

    @property
    def cells(self) -> dict[str, CellType]:
        """The variables of enclosing functions that the function reads."""
        names = self.function.__code__.co_freevars
        return dict(zip(names, self.function.__closure__ or (), strict=True))

    def place(self, node: ast.AST) -> Place:
        """Return the line of a node."""
        return Place(self.file, getattr(node, "lineno", self.node.lineno))

    def span(self, node: ast.AST) -> Span:
        """Return the part of the file that a node, or of a statement its first line, takes up."""
        line = getattr(node, "lineno", self.node.lineno)
        end_line = getattr(node, "end_lineno", None) or line
        text = self._line(line)
        start = _characters(text, getattr(node, "col_offset", 0))
        end = _characters(self._line(end_line), getattr(node, "end_col_offset", 0))
        if end_line != line:
            end_line, end = line, len(text.rstrip())
        return Span(self.file, line, start, end_line, max(end, start + 1), text)

    def refuse(self, node: ast.AST, reason: str, advice: str) -> NoReturn:
        """Raise the error that says why `node` cannot be in a static function, and what to write."""
        raise StaticSyntaxError(reason, advice, self.span(node))

    def _line(self, number: int) -> str:
        return self.lines[number - 1] if number <= len(self.lines) else ""


def _plain(function: Callable[..., Any]) -> FunctionType:
    if isinstance(function, MethodType):
        function = function.__func__
    if isinstance(function, staticmethod | classmethod | property):
        kind = type(function).__name__
        raise NoSourceError(f"A {kind}", "it is not a function", f"Write @{kind} above @static.")
    if not isinstance(function, FunctionType):
        raise NoSourceError(
            repr(function), "it is not a plain Python function", "Define it with `def`, and decorate that."
        )
    if hasattr(function, "__wrapped__"):
        raise NoSourceError(
            _name(function),
            "another decorator has wrapped it, so its source is not what would run",
            "Make @static the decorator next to `def`.",
        )
    if function.__code__.co_name == "<lambda>":
        raise NoSourceError(
            f"The lambda on line {function.__code__.co_firstlineno} of {function.__code__.co_filename}",
            "a lambda has no name and no statements",
            "Define it with `def`.",
        )
    return function


def _name(function: FunctionType) -> str:
    return function.__qualname__


@lru_cache(maxsize=16)
def _parsed(lines: tuple[str, ...]) -> ast.Module | None:
    try:
        return ast.parse("".join(lines))
    except SyntaxError:
        return None


def _find(tree: ast.Module, function: FunctionType) -> FunctionNode | None:
    code = function.__code__
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode) and node.name == code.co_name:
            names = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno and names == list(code.co_varnames[: code.co_argcount]):
                return node
    return None


def _characters(line: str, offset: int) -> int:
    """Return the column of a byte offset, which is what syntax trees have."""
    return len(line.encode()[:offset].decode(errors="ignore"))
