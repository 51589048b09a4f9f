"""`@gen`: generative functions written as ordinary Python functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, final, overload

from gen_core.source import SourceFunction
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
class DynamicFunction(SourceFunction[P, R_co]):
    """A generative function that runs by executing a Python function.

    The internal proposal is forward: what is not given is drawn where it is visited. Untraced randomness
    (`call.sample()`) is drawn again wherever the body is run again.

    Two are equal if they are bound to the same object, or are made by one definition with equal captured
    values and defaults, and share their parameters.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> DynamicFunction[P, R_co]: ...
    @overload
    def __get__(
        self: DynamicFunction[Concatenate[S, Q], R], instance: S, owner: type[Any], /
    ) -> DynamicFunction[Q, R]: ...
    def __get__(self, instance: Any, owner: type[Any], /) -> Any:
        return self if instance is None else self.bound_to(instance)

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
