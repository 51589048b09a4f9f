"""`@gen`: generative functions written as ordinary Python functions."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable
from functools import cached_property
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, final, overload

from gen_core import GenerativeFunction, Parameters
from gen_core.captured import captured_by
from gen_core.diff import is_same
from gen_core.parameters import PARAMETERS
from gen_core.where import code_of
from gen_dml.assess import assess
from gen_dml.generate import generate
from gen_dml.project import project
from gen_dml.regenerate import regenerate
from gen_dml.sample import sample
from gen_dml.simulate import simulate
from gen_dml.update import update

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, Call, ChoiceMap, Generated, Selection, Trace, Updated
    from gen_core.captured import Captured
    from gen_dml.trace import DynamicTrace

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


def gen(source: Callable[P, R]) -> DynamicFunction[P, R]:
    """Turn a Python function, or a method, into a generative function.

    In its body, `call @ address` visits a distribution or another generative function; the address is a
    string, an index, or a tuple of these. Everything else is Python: loops, branches and recursion may
    depend on random choices.

    Example:
        >>> @gen
        ... def line(xs: list[float]) -> Tensor:
        ...     slope = normal(0.0, 1.0) @ "slope"
        ...     for i, x in enumerate(xs):
        ...         normal(slope * x, 0.1) @ ("y", i)
        ...     return slope
    """
    return DynamicFunction(source)


@final
class DynamicFunction(GenerativeFunction[P, R_co]):
    """A generative function that runs by executing a Python function.

    The internal proposal is forward: what is not given is drawn where it is visited. Untraced randomness
    (`call.sample()`) is drawn again wherever the body is run again.

    Two are equal if they are bound to the same object, or are made by one definition with equal captured
    values and defaults, and share their parameters.
    """

    def __init__(
        self,
        source: Callable[P, R_co],
        signature: inspect.Signature | None = None,
        params: Parameters | None = None,
    ) -> None:
        """Make a generative function; users write `@gen`."""
        super().__init__(source.__name__, signature or inspect.signature(source))
        self.source = source
        self.__doc__ = source.__doc__
        self.__module__ = source.__module__
        if params is not None:
            self.params = params
        self._params_of: dict[int, Parameters] = {}

    @property
    def reference(self) -> str | None:
        """`module:qualified.name`; None for nested functions and bound methods."""
        name = self.source.__qualname__
        if "<locals>" in name or isinstance(self.source, MethodType):
            return None
        return f"{self.source.__module__}:{name}"

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> DynamicFunction[P, R_co]: ...
    @overload
    def __get__(
        self: DynamicFunction[Concatenate[S, Q], R], instance: S, owner: type[Any], /
    ) -> DynamicFunction[Q, R]: ...
    def __get__(self, instance: Any, owner: type[Any], /) -> Any:
        if instance is None:
            return self
        source = MethodType(self.source, instance)
        return DynamicFunction(source, self._signature_without_self, self._params_for(instance))

    @cached_property
    def _signature_without_self(self) -> inspect.Signature:
        return self.signature.replace(parameters=list(self.signature.parameters.values())[1:])

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

    def do_simulate(self, call: Call[Any], /) -> DynamicTrace[R_co]:
        """Draw every choice."""
        return simulate(self, call)

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """Weight: the sum of the log densities of the constrained choices, and of callees' weights."""
        return generate(self, call, constraints)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> DynamicTrace[R_co]:
        """Take every choice from `choices`."""
        return assess(self, call, choices)

    def do_sample(self, call: Call[Any], /) -> R_co:
        """Run the body without recording."""
        value: R_co = sample(self, call)
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Run the body again, keeping every choice that is not constrained."""
        return update(self, trace, call, argdiffs, constraints)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Run the body again, drawing the selected choices anew."""
        return regenerate(self, trace, call, argdiffs, selection)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum the log densities of the selected choices, and the projections of callees."""
        return project(trace, selection)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, DynamicFunction):
            return False
        same_params = self.params is other.params or not (self.params or other.params)
        return same_params and _same_source(self, other)

    def __hash__(self) -> int:
        return hash(code_of(self.source))


def _same_source(one: DynamicFunction[..., Any], other: DynamicFunction[..., Any]) -> bool:
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
