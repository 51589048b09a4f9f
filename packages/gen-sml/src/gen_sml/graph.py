"""The graph of a static function: what its body computes, visits and returns, in order.

Each node defines variables that no other node defines, and reads variables of earlier nodes. Expressions
are Python source over these variables; every other name in them is free, and is looked up in the graph's
`Scope` where Python would look it up, each time it is evaluated.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CellType
from typing import Any, TypeAlias, final


@final
@dataclass(frozen=True, slots=True)
class Expression:
    """Python source, and the variables of the graph that it reads, in order of first use."""

    source: str
    reads: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Lines of the user's source, for messages."""

    file: str
    line: int


@final
@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of the function."""

    name: str
    place: Place

    @property
    def targets(self) -> tuple[str, ...]:
        """The variable that it defines."""
        return (self.name,)

    @property
    def reads(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@final
@dataclass(frozen=True, slots=True)
class Compute:
    """A deterministic step: one expression, or statements that make no random choice.

    An expression is assigned to its only target. Statements assign the targets, in Python source that
    reads the variables in `reads`; what else they assign is local to them, under names that no other node
    uses. Their targets are those variables that something reads, and may be none, as of an `assert`.
    """

    targets: tuple[str, ...]
    body: Expression
    place: Place
    is_expression: bool = True

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that the step reads."""
        return self.body.reads


@final
@dataclass(frozen=True, slots=True)
class Visit:
    """A traced call, `target = call @ address`.

    `call` evaluates to a `Call`. Each part of the address is a literal key or an expression, evaluated
    before the call is visited. `address` is None for `@ inline`, which splices a static function.
    """

    target: str
    call: Expression
    address: tuple[str | int | Expression, ...] | None
    place: Place

    @property
    def targets(self) -> tuple[str, ...]:
        """The variable that gets what the call returns."""
        return (self.target,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables in the call and in computed parts of the address, in order of first use."""
        parts = [part for part in self.address or () if isinstance(part, Expression)]
        reads = [*self.call.reads, *(name for part in parts for name in part.reads)]
        return tuple(dict.fromkeys(reads))


@final
@dataclass(frozen=True, slots=True)
class Parameter:
    """A trainable parameter, `target = param(name, init, constraint)`; `call` is that whole expression."""

    target: str
    call: Expression
    place: Place

    @property
    def targets(self) -> tuple[str, ...]:
        """The variable that gets its value."""
        return (self.target,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that the call of `param` reads."""
        return self.call.reads


Node: TypeAlias = Argument | Compute | Visit | Parameter


@final
@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Where free names are looked up: cells of enclosing functions, then globals, then builtins.

    Some cells are not the function's own: they hold what the steps of a parsed function call to check that
    a variable is bound (`_bound`) or unchanging (`_unchanging`), or what a graph made by hand refers to.
    """

    globals: dict[str, Any]
    cells: Mapping[str, CellType] = field(default_factory=dict[str, CellType])


@final
@dataclass(frozen=True, eq=False)
class Graph:
    """The body of a static function.

    Args:
        name: The function's name.
        signature: Its parameters; the first nodes are its `Argument`s, in this order.
        nodes: The steps, in the order of the source.
        result: The value that it returns, an expression that makes no random choice.
        scope: Where free names are looked up.
        place: The definition.
    """

    name: str
    signature: inspect.Signature
    nodes: tuple[Node, ...]
    result: Expression
    scope: Scope
    place: Place

    def visits(self) -> Iterator[Visit]:
        """Return the traced calls, in order."""
        return (node for node in self.nodes if isinstance(node, Visit))

    def to_text(self) -> str:
        """Return the steps as indented lines; so does `print(graph)`."""
        from gen_sml.draw_graph import to_text

        return to_text(self)

    def to_dot(self) -> str:
        """Return a drawing in the language of Graphviz."""
        from gen_sml.draw_graph import to_dot

        return to_dot(self)

    def to_mermaid(self) -> str:
        """Return a drawing as a Mermaid flowchart."""
        from gen_sml.draw_graph import to_mermaid

        return to_mermaid(self)

    def __str__(self) -> str:
        return self.to_text()
