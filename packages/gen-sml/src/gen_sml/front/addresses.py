"""Which addresses a body visits for sure: none may be visited twice, or be below another."""

from __future__ import annotations

import ast
from typing import TypeAlias, final

from gen_sml.front.source import Source
from gen_sml.graph import Expression

Pattern: TypeAlias = "tuple[str | int | Expression, ...]"
"""An address, some of whose parts may be computed."""


def collide(one: Pattern, other: Pattern) -> bool:
    """Whether two addresses are equal, or one is below the other, whatever their computed parts are."""
    return all(_same(left, right) for left, right in zip(one, other, strict=False))


def show_pattern(address: Pattern) -> str:
    """Return an address as it is written after `@`."""
    parts = [part.source if isinstance(part, Expression) else repr(part) for part in address]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _same(left: str | int | Expression, right: str | int | Expression) -> bool:
    # A variable has one value in a run, while a call may return another one each time.
    return left == right and not (isinstance(left, Expression) and left.reads != (left.source,))


@final
class Claims:
    """The addresses of one body so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._claimed: list[tuple[Pattern, int]] = []

    def claim(self, address: Pattern | None, node: ast.AST) -> None:
        """Take an address, refusing one that collides with an earlier one."""
        if address is None:
            return
        for other, line in self._claimed:
            if collide(address, other):
                self._refuse(address, other, line, node)
        self._claimed.append((address, self.source.place(node).line))

    def _refuse(self, address: Pattern, other: Pattern, line: int, node: ast.AST) -> None:
        shown = show_pattern(address)
        if len(address) == len(other):
            reason = f"The address {shown} is visited twice: here, and on line {line}."
        else:
            below = "below" if len(address) > len(other) else "above"
            reason = f"The address {shown} is {below} {show_pattern(other)}, which line {line} visits."
        self.source.refuse(node, reason, "Each choice needs an address of its own, none below another's.")
