"""Graphs made by hand: a static function without source."""

from __future__ import annotations

import inspect
import keyword
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CellType
from typing import TYPE_CHECKING, Any, final

from gen_core import Key
from gen_core import param as gen_param
from gen_core.surface import Init, Inline
from gen_sml.check import check_graph
from gen_sml.errors import GraphError
from gen_sml.graph import Argument, Compute, Expression, Graph, Node, Parameter, Place, Scope, Visit

if TYPE_CHECKING:
    from torch.distributions.constraints import Constraint

    from gen_core import GenerativeFunction


@final
@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a graph that is being built."""

    name: str


@final
class GraphBuilder:
    """Builds the graph of a static function, step by step.

    Whatever a step is given is a variable, a constant, or a tuple, list or dict of these.

    Example:
        >>> build = GraphBuilder("line")
        >>> x = build.argument("x")
        >>> slope = build.visit(normal, 0.0, 2.0, address="slope")
        >>> y = build.visit(normal, build.compute(torch.mul, slope, x), 0.1, address="y")
        >>> build.returns(y)
        >>> print(build.graph())
        line(x):
            slope = normal(0.0, 2.0) @ 'slope'
            mul_value = mul(slope, x)
            y = normal(mul_value, 0.1) @ 'y'
            return y
    """

    def __init__(self, name: str) -> None:
        """Start the graph of a function without arguments and steps."""
        self.name = name
        self._place = _caller()
        self._parameters: list[inspect.Parameter] = []
        self._nodes: list[Node] = []
        self._result = Expression("None")
        self._scope = dict[str, Any]()
        self._used = set[str]()

    def argument(self, name: str, default: Any = inspect.Parameter.empty) -> Variable:
        """Add an argument.

        Raises:
            GraphError: There is a step already, or an argument with this name.
        """
        if len(self._parameters) != len(self._nodes):
            raise GraphError(self.name, f"the argument {name!r} comes after a step; arguments come first")
        if name in self._used or not name.isidentifier():
            raise GraphError(self.name, f"{name!r} cannot name another argument")
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self._parameters.append(inspect.Parameter(name, kind, default=default))
        self._used.add(name)
        self._nodes.append(Argument(name, _caller()))
        return Variable(name)

    def compute(self, function: Callable[..., Any], *args: Any, targets: int = 1, **kwargs: Any) -> Any:
        """Add a deterministic step, `function(*args, **kwargs)`.

        The result is unpacked into `targets` variables.

        Returns:
            The variable of the result; a tuple of variables where `targets` is not 1.
        """
        stem = f"{_stem(getattr(function, '__name__', 'value'))}_value"
        call = self._call(function, args, kwargs)
        if targets == 1:
            target = self._unused(stem)
            self._nodes.append(Compute((target,), call, _caller()))
            return Variable(target)
        names = tuple([self._unused(stem) for _ in range(targets)])
        body = Expression(f"({''.join(f'{name}, ' for name in names)}) = {call.source}", call.reads)
        self._nodes.append(Compute(names, body, _caller(), is_expression=False))
        return tuple([Variable(name) for name in names])

    def visit(
        self, gen_fn: GenerativeFunction[..., Any], *args: Any, address: object, **kwargs: Any
    ) -> Variable:
        """Add a traced call, `gen_fn(*args, **kwargs) @ address`.

        The address is a key, a tuple of keys and variables, a `Key`, or `inline`.
        """
        call = self._call(gen_fn, args, kwargs)
        parts = self._address(address)
        named = [part for part in parts or () if isinstance(part, str)]
        target = self._unused(_stem(named[-1] if named else gen_fn.name))
        self._nodes.append(Visit(target, call, parts, _caller()))
        return Variable(target)

    def param(self, name: str, init: Init, constraint: Constraint | None = None) -> Variable:
        """Add a trainable parameter."""
        args = (name, init) if constraint is None else (name, init, constraint)
        call = self._call(gen_param, args, {})
        target = self._unused(_stem(name))
        self._nodes.append(Parameter(target, call, _caller()))
        return Variable(target)

    def returns(self, value: Any) -> None:
        """Say what the function returns; None if this is not said."""
        self._result = self._expression(value)

    def graph(self) -> Graph:
        """Return the graph.

        Raises:
            GraphError: It is wrong; see `check_graph`.
        """
        cells = {name: CellType(value) for name, value in self._scope.items()}
        signature = inspect.Signature(self._parameters)
        graph = Graph(self.name, signature, tuple(self._nodes), self._result, Scope({}, cells), self._place)
        check_graph(graph)
        return graph

    def _address(self, address: object) -> tuple[str | int | Expression, ...] | None:
        if isinstance(address, Inline):
            return None
        if isinstance(address, Key):
            return address.path
        parts = address if isinstance(address, tuple) else (address,)
        return tuple([part if isinstance(part, str | int) else self._expression(part) for part in parts])

    def _call(self, function: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Expression:
        written = [self._written(arg) for arg in args]
        named = [f"{name}={self._written(value)}" for name, value in kwargs.items()]
        source = f"{self._written(function)}({', '.join([*written, *named])})"
        return Expression(source, _reads((*args, *kwargs.values())))

    def _expression(self, value: Any) -> Expression:
        return Expression(self._written(value), _reads(value))

    def _written(self, value: Any) -> str:
        """Return the source of a value, which is put into the scope if it has none."""
        kind = type(value)
        if kind is Variable:
            return str(value.name)
        if value is None or kind in (bool, int, str) or (kind is float and value - value == 0):
            return repr(value)
        if kind is tuple:
            return f"({''.join(f'{self._written(item)}, ' for item in value).rstrip(' ')})"
        if kind is list:
            return f"[{', '.join(map(self._written, value))}]"
        if kind is dict:
            items = [f"{self._written(key)}: {self._written(item)}" for key, item in value.items()]
            return f"{{{', '.join(items)}}}"
        return self._named(value)

    def _named(self, value: Any) -> str:
        for name, known in self._scope.items():
            if known is value:
                return name
        own = getattr(value, "name", None) or getattr(value, "__name__", None)
        name = self._unused(_stem(own if isinstance(own, str) else type(value).__name__))
        self._scope[name] = value
        return name

    def _unused(self, stem: str) -> str:
        made, count = stem, 1
        while made in self._used:
            count += 1
            made = f"{stem}_{count}"
        self._used.add(made)
        return made


def _reads(value: Any) -> tuple[str, ...]:
    if type(value) is Variable:
        return (value.name,)
    if type(value) is dict:
        value = [part for item in value.items() for part in item]
    if type(value) in (tuple, list):
        return tuple(dict.fromkeys(name for item in value for name in _reads(item)))
    return ()


def _stem(text: str) -> str:
    stem = re.sub(r"\W", "_", text).strip("_") or "value"
    return stem if stem.isidentifier() and not keyword.iskeyword(stem) else f"_{stem}"


def _caller() -> Place:
    """Return the line that called a method of the builder."""
    frame = sys._getframe(2)
    return Place(frame.f_code.co_filename, frame.f_lineno)
