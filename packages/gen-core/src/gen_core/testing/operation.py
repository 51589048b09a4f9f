"""Operations, as messages name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(frozen=True, slots=True)
class Operation:
    """An operation's name, what it was given, and the call or choices that it was run on."""

    name: str
    on: Any
    given: tuple[Any, ...] = ()

    def __str__(self) -> str:
        given = f"({', '.join(map(repr, self.given))})" if self.given else ""
        return f"{self.name}{given} of {self.on!r}"
