"""Generated functions: compiled in the scope of the user's function, under a file name of their own."""

from __future__ import annotations

import ast
import itertools
import linecache
import weakref
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from gen_core.where import Origin, forget_generated, generated_from

if TYPE_CHECKING:
    from gen_sml.codegen import Code
    from gen_sml.graph import Scope


def compiled(code: Code, name: str, operation: str, cells: tuple[str, ...]) -> CodeType:
    """Return the code object of a generated function.

    Its lines are in `linecache` for as long as it lives, so that tracebacks and debuggers show them, and
    errors that pass through it name the user's lines.

    Args:
        code: The source of one function.
        name: The static function's name.
        operation: What the generated function does, which is its name.
        cells: The names of variables of enclosing functions.
    """
    file = f"<static {name}.{operation}>"
    if file in linecache.cache:
        file = next(made for made in _numbered(file) if made not in linecache.cache)
    linecache.cache[file] = (len(code.text), None, code.text.splitlines(keepends=True), file)
    generated_from(file, {line: Origin(place.file, place.line) for line, place in code.places.items()})
    found = _inner(compile(_within_cells(code.text, cells), file, "exec"), code.name)
    weakref.finalize(found, _forget, file).atexit = False
    return found


def in_scope(code: CodeType, scope: Scope) -> FunctionType:
    """Return a function that looks free names up where Python would: cells, then globals, then builtins."""
    closure = tuple([scope.cells[name] for name in code.co_freevars])
    return FunctionType(code, scope.globals, code.co_name, None, closure)


def _within_cells(text: str, cells: tuple[str, ...]) -> ast.Module:
    """Return a module with the function inside another one that has the cells as its parameters.

    The inner function's lines keep their numbers.
    """
    module = ast.parse(text)
    outer = ast.parse(f"def cells({', '.join(cells)}): pass")
    outer.body[0].body = module.body  # type: ignore[attr-defined]
    return outer


def _inner(code: CodeType, name: str) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            return constant if constant.co_name == name else _inner(constant, name)
    raise AssertionError(name)


def _numbered(file: str) -> Any:
    return (f"{file[:-1]} {number}>" for number in itertools.count(2))


def _forget(file: str) -> None:
    linecache.cache.pop(file, None)
    forget_generated(file)
