"""Generative functions made of parts: equal where their parts are, and found by name for saving."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import ParamSpec, TypeVar, final

from gen_core import GenerativeFunction

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Composed(GenerativeFunction[P, R_co]):
    """A generative function that is equal to every other of its class that is made of equal parts.

    So one that is made within a model is the same callee at every run.
    """

    @property
    @abstractmethod
    def parts(self) -> tuple[object, ...]:
        """What it is made of: other generative functions, plain functions as `Function`, options."""

    @property
    @final
    def reference(self) -> str | None:
        """`module:name` of the variable of a module that holds this function, None if there is none."""
        return variable_of(self)

    @final
    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is type(self) and self.parts == other.parts)

    @final
    def __hash__(self) -> int:
        return hash((type(self), self.parts))


def variable_of(gen_fn: GenerativeFunction[..., object]) -> str | None:
    """Return `module:name` of a variable of a module that holds this very function, None if none does."""
    # A combinator does not know where it was made, and only saving asks.
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is gen_fn:
                return f"{module.__name__}:{name}"
    return None
