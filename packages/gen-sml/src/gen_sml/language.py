"""`@static`: generative functions that are parsed into a graph, with generated operations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar, final, overload

from gen_core.address import Address
from gen_core.source import SourceFunction
from gen_sml.assess import assess
from gen_sml.by_hand import source_of
from gen_sml.check import check_graph
from gen_sml.generate import generate
from gen_sml.program import Program, program_of
from gen_sml.project import project
from gen_sml.reach_of import reach_of
from gen_sml.regenerate import regenerate
from gen_sml.sample import sample
from gen_sml.simulate import simulate
from gen_sml.update import update

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, Call, ChoiceMap, Generated, Selection, Trace, Updated
    from gen_sml.graph import Graph
    from gen_sml.trace import StaticTrace

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")

Operation: TypeAlias = Literal["simulate", "generate", "assess", "sample", "update", "regenerate"]
"""The operations that code is generated for; `project` and gradients need none of their own."""


def static(source: Callable[P, R]) -> StaticFunction[P, R]:
    """Turn a Python function, or a method, into a generative function with a fixed structure.

    The body is written as for `gen_dml.gen`, but every run makes the same visits: no traced call is in a
    loop or a branch. It becomes a graph, and code is generated from it for every operation; `update` and
    `regenerate` run only what a change reaches.

    Example:
        >>> @static
        ... def line(x: float) -> Tensor:
        ...     slope = normal(0.0, 1.0) @ "slope"
        ...     intercept = normal(0.0, 2.0) @ "intercept"
        ...     return normal(slope * x + intercept, 0.1) @ "y"

    Raises:
        StaticSyntaxError: The body has what a graph has no place for; says where, and what to write.
        NoSourceError: `source` is no Python function, or its source is gone.
    """
    return StaticFunction(source)


def static_function(graph: Graph) -> StaticFunction[..., Any]:
    """Return the generative function of a graph that was made by hand.

    Raises:
        GraphError: The graph is not one that a function could have; see `check_graph`.
    """
    check_graph(graph)
    return StaticFunction(source_of(graph), graph.signature, program=Program(graph))


@final
class StaticFunction(SourceFunction[P, R_co]):
    """A generative function that runs code generated from its graph.

    The internal proposal is forward: what is not given is drawn. What makes no random choice is taken to
    be a function of the variables that it reads: an edit runs it again where one of these has changed,
    and untraced randomness is drawn again there.

    Two are equal if they are bound to the same object, or are made by one definition with equal captured
    values and defaults, and share their parameters.
    """

    def __init__(
        self,
        source: Callable[P, R_co],
        signature: inspect.Signature | None = None,
        program: Program | None = None,
    ) -> None:
        """Make a generative function; users write `@static`."""
        super().__init__(source, signature)
        self.program = program_of(source) if program is None else program

    @property
    def graph(self) -> Graph:
        """What the body computes, visits and returns, in order."""
        return self.program.graph

    def code(
        self,
        operation: Operation = "simulate",
        touched: Address | Iterable[Address] | None = None,
        *,
        changed: str | Iterable[str] | None = None,
    ) -> str:
        """Return the generated code of an operation.

        Args:
            operation: Its name.
            touched: Of `update` the addresses that are constrained, of `regenerate` those that are
                selected: one, or a list or set of several.
            changed: Of both, the names of arguments that have changed. With neither, the code for edits
                that come only once, which finds out at run time what a change reaches.

        Raises:
            ValueError: There is no such operation, address or argument.
        """
        reaches = reach_of(self.program.plan, operation, touched, changed)
        return self.program.definition.write(operation, *reaches).text

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> StaticFunction[P, R_co]: ...
    @overload
    def __get__(
        self: StaticFunction[Concatenate[S, Q], R], instance: S, owner: type[Any], /
    ) -> StaticFunction[Q, R]: ...
    def __get__(self, instance: Any, owner: type[Any], /) -> Any:
        return self if instance is None else self.bound_to(instance)

    def do_simulate(self, call: Call[Any], /) -> StaticTrace[R_co]:
        """Draw every choice."""
        return simulate(self, call)

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """Weight: the sum of the log densities of the constrained choices, and of callees' weights."""
        return generate(self, call, constraints)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> StaticTrace[R_co]:
        """Take every choice from `choices`."""
        return assess(self, call, choices)

    def do_sample(self, call: Call[Any], /) -> R_co:
        """Run the body without recording."""
        value: R_co = sample(self, call)
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Run what the change reaches, keeping every choice that is not constrained."""
        return update(self, trace, call, argdiffs, constraints)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Run what the change reaches, drawing the selected choices anew."""
        return regenerate(self, trace, call, argdiffs, selection)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum the log densities of the selected choices, and the projections of callees."""
        return project(trace, selection)  # type: ignore[arg-type]
