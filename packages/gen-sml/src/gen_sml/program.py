"""The program of a static function: its graph, and the functions that were generated from it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter, Signature, signature
from types import CellType, CodeType, FunctionType
from typing import Any, Final, final

from gen_sml.codegen import Code, straight
from gen_sml.codegen_edit import Reach, edit
from gen_sml.generated import compiled, in_scope
from gen_sml.graph import Graph, Scope
from gen_sml.parse import parse
from gen_sml.plan import Plan

MOST_FUNCTIONS = 256
"""So many edits of one function have code of their own; beyond, the oldest are forgotten."""
MOST_TOUCHED = 16
"""An edit that touches more visits than this runs the code that finds out at run time what to do."""


@final
class Program:
    """Generated functions in one scope: a nested function that is defined again has another closure."""

    def __init__(self, graph: Graph, definition: Definition | None = None) -> None:
        """Plan a graph, or take over what was generated for the same definition in another scope."""
        self.graph = graph
        self.definition = Definition(graph) if definition is None else definition
        self.plan = self.definition.plan
        self._functions: dict[object, FunctionType] = {}

    def straight(self, operation: str) -> FunctionType:
        """Return the function that runs every node in order."""
        return self._functions.get(operation) or self._make(operation, operation, ())

    def edit(self, operation: str, reach: Reach) -> FunctionType:
        """Return a function that runs what a change can reach.

        What the second such edit asks for gets code of its own: most edits are either done once, or often.
        """
        key = operation, reach
        found = self._functions.get(key)
        if found is not None:
            return found
        if len(reach.touched) > MOST_TOUCHED or not self.definition.is_again(key):
            return self._functions.get((operation,)) or self._make((operation,), operation, (None,))
        return self._make(key, operation, (reach,))

    def _make(self, key: object, operation: str, reaches: tuple[Reach | None, ...]) -> FunctionType:
        code = self.definition.code(key, operation, reaches)
        if len(self._functions) >= MOST_FUNCTIONS:
            self._functions.pop(next(iter(self._functions)), None)
        function = self._functions[key] = in_scope(code, self.graph.scope)
        return function


@final
class Definition:
    """Generated code of one definition, which is the same in every scope."""

    def __init__(self, graph: Graph) -> None:
        """Plan a graph."""
        # It outlives every scope, so it holds none of their values.
        self.plan: Final = Plan(_without_values(graph))
        self._codes: dict[object, CodeType] = {}
        self._seen: set[object] = set()

    def code(self, key: object, operation: str, reaches: tuple[Reach | None, ...]) -> CodeType:
        """Return the code object that is kept under `key`, writing it at first."""
        code = self._codes.get(key)
        if code is None:
            if len(self._codes) >= MOST_FUNCTIONS:
                self._codes.pop(next(iter(self._codes)), None)
            graph = self.plan.graph
            written = self.write(operation, *reaches)
            code = self._codes[key] = compiled(written, graph.name, operation, tuple(graph.scope.cells))
        return code

    def write(self, operation: str, *reaches: Reach | None) -> Code:
        """Return the source: of an edit if there is a reach, of an ordinary run if there is none."""
        return edit(self.plan, operation, *reaches) if reaches else straight(self.plan, operation)

    def is_again(self, key: object) -> bool:
        """Return whether an edit was asked for before."""
        if key in self._seen:
            return True
        if len(self._seen) >= 16 * MOST_FUNCTIONS:
            self._seen.clear()
        self._seen.add(key)
        return False


def program_of(function: Callable[..., Any]) -> Program:
    """Return the program of a Python function; definitions are parsed once.

    Raises:
        StaticSyntaxError: The function cannot be a static one.
        NoSourceError: It has no source.
    """
    code = getattr(function, "__code__", None)
    known = None if code is None else _definitions.get(id(code))
    if known is None:
        graph = parse(function)
        program = Program(graph)
        if isinstance(code, CodeType):
            helpers = {name: cell for name, cell in graph.scope.cells.items() if name not in code.co_freevars}
            _definitions[id(code)] = program.definition, helpers
            weakref.finalize(code, _definitions.pop, id(code), None).atexit = False
        return program
    definition, helpers = known
    plain: Any = function
    cells = dict(zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True))
    scope = Scope(plain.__globals__, {**helpers, **cells})
    return Program(replace(definition.plan.graph, signature=signature(function), scope=scope), definition)


def _without_values(graph: Graph) -> Graph:
    """Return a graph with the names of its scope and of its parameters, but not their values."""
    parameters = [
        parameter.replace(default=Parameter.empty, annotation=Parameter.empty)
        for parameter in graph.signature.parameters.values()
    ]
    scope = Scope({}, {name: CellType() for name in graph.scope.cells})
    return replace(graph, signature=Signature(parameters), scope=scope)


_definitions: dict[int, tuple[Definition, dict[str, CellType]]] = {}
