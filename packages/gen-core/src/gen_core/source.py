"""Generative functions made of Python source: what modelling languages share.

A language subclasses `SourceFunction`, says what its rooms do with the source, and declares `__get__` with
its own type, so that a method of a class is a function of the language too.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, final

from gen_core.arguments import Binder
from gen_core.captured import captured_by
from gen_core.diff import is_same
from gen_core.interface import GenerativeFunction
from gen_core.parameters import PARAMETERS, Parameters
from gen_core.where import code_of

if TYPE_CHECKING:
    from gen_core.captured import Captured

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class SourceFunction(GenerativeFunction[P, R_co]):
    """A generative function written as a Python function.

    Two of one language are equal if they are bound to the same object, or are made by one definition with
    equal captured values and defaults, and share their parameters.
    """

    def __init__(self, source: Callable[P, R_co], signature: inspect.Signature | None = None) -> None:
        """Take the name, documentation and signature of `source`."""
        super().__init__(source.__name__, signature or inspect.signature(source))
        self.source = source
        self.__doc__ = source.__doc__
        self.__module__ = source.__module__
        self._params_of: dict[int, Parameters] = {}

    @property
    def reference(self) -> str | None:
        """`module:qualified.name`; None for nested functions and bound methods."""
        name = self.source.__qualname__
        if "<locals>" in name or isinstance(self.source, MethodType):
            return None
        return f"{self.source.__module__}:{name}"

    @final
    def bound_to(self, instance: object) -> Self:
        """Return this function as a method of an object, which has parameters of its own."""
        # A copy, not a new one: Python binds a method at each access, and most of it stays the same.
        bound = object.__new__(type(self))
        bound.__dict__.update(self._without_self)
        bound.source = MethodType(self.source, instance)
        bound.params = self._params_for(instance)
        bound._params_of = {}
        return bound

    @cached_property
    def _without_self(self) -> Mapping[str, Any]:
        """The attributes of this function as a method of any object."""
        signature = self.signature.replace(parameters=list(self.signature.parameters.values())[1:])
        return {**self.__dict__, "signature": signature, "binder": Binder(signature)}

    def _params_for(self, instance: object) -> Parameters:
        """Return the parameters of this method on one object, which live as long as the object."""
        attributes = getattr(instance, "__dict__", None)
        if isinstance(attributes, dict):
            # In the object itself, so that they are copied and saved with it, and freed with it even when
            # they refer to it.
            owned: dict[str, Parameters] = attributes.setdefault(PARAMETERS, {})
            found = owned.get(self.source.__qualname__)
            if found is None:  # setdefault: another thread may have been faster
                found = owned.setdefault(self.source.__qualname__, Parameters(self.name))
            return found
        key = id(instance)
        if key not in self._params_of:
            self._params_of[key] = Parameters(self.name)
            try:
                weakref.finalize(instance, self._params_of.pop, key, None)
            except TypeError:
                # No weak references to it: keep it, so that nobody else gets its id.
                self._kept = [*getattr(self, "_kept", []), instance]
        return self._params_of[key]

    def captured(self) -> Iterable[Captured]:
        """Return what the body and its helpers reach from outside."""
        return captured_by(self.source)

    @final
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, SourceFunction) or type(other) is not type(self):
            return False
        same_params = self.params is other.params or not (self.params or other.params)
        return same_params and _same_source(self, other)

    @final
    def __hash__(self) -> int:
        return hash(code_of(self.source))


def _same_source(one: SourceFunction[..., Any], other: SourceFunction[..., Any]) -> bool:
    left: Any = one.source
    right: Any = other.source
    if isinstance(left, MethodType) or isinstance(right, MethodType):
        bound = isinstance(left, MethodType) and isinstance(right, MethodType)
        return bound and left.__self__ is right.__self__ and left.__func__ is right.__func__
    if left.__code__ is not right.__code__:
        return False
    values = zip(_captured(left), _captured(right), strict=True)
    # A recursive nested function captures itself.
    return all((a is one and b is other) or a is b or is_same(a, b) for a, b in values)


def _captured(source: Any) -> list[object]:
    values = []
    for cell in source.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            values.append(cell)
    return [*values, *(source.__defaults__ or ()), *(source.__kwdefaults__ or {}).values()]
