"""Plain functions as parts of generative functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any, Generic, ParamSpec, TypeVar, final

from gen_core.diff import is_same
from gen_core.where import code_of

P = ParamSpec("P")
R = TypeVar("R")


@final
class Function(Generic[P, R]):
    """A plain function that compares by what it does, as far as that can be seen.

    Two are equal if they are the same object, methods of the same object, or nested functions of one
    definition with equal captured values and defaults: a lambda within a model is another object at every
    run of the model, and the same function.
    """

    __slots__ = ("source",)

    def __init__(self, source: Callable[P, R]) -> None:
        self.source = source

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.source(*args, **kwargs)

    @property
    def name(self) -> str:
        """The function's own name."""
        return getattr(self.source, "__name__", type(self.source).__name__)

    @property
    def signature(self) -> inspect.Signature:
        """Its signature; `(*args, **kwargs)` for what has none, as some functions written in C."""
        try:
            return inspect.signature(self.source)
        except (ValueError, TypeError):
            return inspect.signature(_anything)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and _do_the_same(self.source, other.source)

    def __hash__(self) -> int:
        return hash(code_of(self.source) or self.source)


def _do_the_same(one: Any, other: Any) -> bool:
    if one is other or one == other:  # methods of one object are equal
        return True
    if isinstance(one, MethodType) or isinstance(other, MethodType):
        return False
    code = code_of(one)
    if code is None or code is not code_of(other):
        return False
    return all(a is b or is_same(a, b) for a, b in zip(_captured(one), _captured(other), strict=True))


def _captured(function: Any) -> list[object]:
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            values.append(cell)
    return [*values, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _anything(*args: Any, **kwargs: Any) -> None: ...
