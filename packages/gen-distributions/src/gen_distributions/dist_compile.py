"""Compiling the deterministic part of a `@dist` function."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from types import CellType, CodeType, FunctionType
from typing import Any


def compile_statements(
    function: FunctionType, arguments: ast.arguments, statements: Sequence[ast.stmt], names: Sequence[str]
) -> Callable[..., tuple[Any, ...]]:
    """Return a function that runs statements and returns the values of names as a tuple.

    It takes the arguments of `function`, and sees its globals, its closure and its defaults.
    """
    result = ast.Return(ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load()))
    inner = ast.FunctionDef(function.__name__, _bare(arguments), [*statements, result], [])
    # Names of the closure are free in the inner function only inside a function that binds them.
    free = [ast.arg(name) for name in function.__code__.co_freevars]
    outer = ast.FunctionDef("outer", ast.arguments([], free, None, [], [], None, []), [inner], [])
    module = ast.fix_missing_locations(ast.Module([outer], []))
    code = _nested(_nested(compile(module, function.__code__.co_filename, "exec")))
    cells = captured_cells(function)
    closure = tuple(cells[name] for name in code.co_freevars)
    compiled = FunctionType(code, function.__globals__, code.co_name, function.__defaults__, closure)
    compiled.__kwdefaults__ = function.__kwdefaults__
    return compiled


def captured_cells(function: FunctionType) -> dict[str, CellType]:
    """Return what a function has captured from the functions around it, by name."""
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))


def _nested(code: CodeType) -> CodeType:
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))


def _bare(arguments: ast.arguments) -> ast.arguments:
    """Return arguments without annotations and defaults, which the compiled function gets as objects."""
    return ast.arguments(
        posonlyargs=[ast.arg(argument.arg) for argument in arguments.posonlyargs],
        args=[ast.arg(argument.arg) for argument in arguments.args],
        vararg=ast.arg(arguments.vararg.arg) if arguments.vararg else None,
        kwonlyargs=[ast.arg(argument.arg) for argument in arguments.kwonlyargs],
        kw_defaults=[None] * len(arguments.kwonlyargs),
        kwarg=ast.arg(arguments.kwarg.arg) if arguments.kwarg else None,
        defaults=[],
    )
