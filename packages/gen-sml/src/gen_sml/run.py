"""One run of a static function: what its generated code calls, whatever the operation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NoReturn, final

from gen_core import (
    Call,
    ChoiceTrace,
    Distribution,
    InlineError,
    ParameterError,
    rooms,
)
from gen_core.address import Path, as_path, show
from gen_core.draw import draw
from gen_core.run import Running, run
from gen_core.scoring import score_choices
from gen_core.where import annotate_address, location
from gen_sml.claims import Claims
from gen_sml.errors import HiddenCallError, NotACallError, RecursiveInlineError
from gen_sml.slots import Slots, Splice

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

    from gen_core import Trace
    from gen_sml.language import StaticFunction


class Run(ABC):
    """The handler of one run: an operation says what a choice and a callee do.

    Generated code calls `at`, `inline` and `path`, and sets `values` when the body is done. Choices of
    plain distributions are drawn or given here and scored together when the body has returned; everything
    else is entered through its rooms.
    """

    operation: str
    """The name of the operation, and of its generated functions."""

    def __init__(self, gen_fn: StaticFunction[..., Any], call: Call[Any]) -> None:
        """Prepare a run of `gen_fn` on the arguments of `call`."""
        self.gen_fn = gen_fn
        self.call = call
        self.outer: Running | None = None
        self.function: FunctionType | None = None
        """The generated function that is running."""
        self.new: list[ChoiceTrace[Any]] = []
        self.new_paths: list[Path] = []
        self.records: list[Trace[Any]] = []
        self.paths: list[Path] = []
        self.values: list[Any] = []
        self.splices: list[Splice] = []
        self.claims: Claims | None = None if gen_fn.program.plan.is_fixed else Claims()
        """The addresses so far, where they may collide."""
        # A plugin's edits of distributions are found in their rooms.
        self._plain: type | None = None if rooms.is_edited(Distribution) else Distribution

    @abstractmethod
    def choice(self, call: Call[Any], path: Path) -> ChoiceTrace[Any]:
        """Make a choice from a plain distribution."""

    @abstractmethod
    def callee(self, call: Call[Any], path: Path) -> Trace[Any]:
        """Run any other generative function."""

    @final
    def execute(self) -> Any:
        """Run the whole body, and return what it returns."""
        return self._enter(self.gen_fn, self.call, self.gen_fn.program.straight(self.operation))

    # What generated code calls.

    path = staticmethod(as_path)

    @final
    def at(self, call: Call[Any], path: Path) -> Any:
        """Visit a call at an address, and return its value."""
        if type(call) is not Call:
            self.refuse(call, show(path))
        if self.claims is not None:
            self.claims.add(path, self._place(self.gen_fn.program.plan.records[len(self.records)]))
        try:
            record = self.choice(call, path) if type(call.gen_fn) is self._plain else self.callee(call, path)
        except BaseException as error:
            self.locate(error, path)
            raise
        self.records.append(record)
        self.paths.append(path)
        return record.retval

    @final
    def inline(self, call: Call[Any]) -> Any:
        """Run a static function in place, and return its value: its addresses become this run's."""
        callee = self.spliced(call)
        outer = self.records, self.paths, self.splices, self.values
        self.records, self.paths, self.splices = [], [], []
        try:
            value = self.within(callee, call, callee.program.straight(self.operation))
            slots = Slots(self.records, self.paths, self.values, self.splices)
        finally:
            self.records, self.paths, self.splices, self.values = outer
        self.splices.append(Splice(call, value, slots))
        return value

    # What a run has of every handler.

    @final
    def visit(self, call: Call[Any], address: object, /) -> NoReturn:
        """Refuse `call @ address`: those in the body are generated code."""
        raise HiddenCallError(self.gen_fn.name, call.gen_fn.name, address)

    @final
    def param(self, name: str, init: object, constraint: Constraint | None, /) -> Tensor:
        """Handle `param(name, init, constraint)`."""
        return self.gen_fn.params.value(name, init, constraint)

    # What operations use.

    @final
    def made(self, call: Call[Any], path: Path, value: Any) -> ChoiceTrace[Any]:
        """Return a choice that is to be scored."""
        choice = ChoiceTrace(call, value)
        self.new.append(choice)
        self.new_paths.append(path)
        return choice

    @final
    def drawn(self, call: Call[Any], path: Path) -> ChoiceTrace[Any]:
        """Draw a choice."""
        return self.made(call, path, draw(call.gen_fn, call.args, call.kwargs))  # type: ignore[arg-type]

    @final
    def score_new(self) -> Tensor:
        """Score the choices that were made, and return the sum, shape `()`, float64."""
        return score_choices(self.new, self.new_paths, self.gen_fn.name)

    @final
    def slots(self) -> Slots:
        """Return what the run recorded."""
        return Slots(self.records, self.paths, self.values, self.splices)

    @final
    def spliced(self, call: Call[Any]) -> StaticFunction[..., Any]:
        """Return the static function that `call @ inline` splices.

        Raises:
            InlineError: It is a function of another kind.
            RecursiveInlineError: It is running already.
        """
        if type(call) is not Call:
            self.refuse(call, "inline")
        callee: Any = call.gen_fn
        if type(callee) is not type(self.gen_fn):
            raise InlineError(self._here(), callee.name, type(callee).__name__)
        running: Any = _Splicing(self.gen_fn, self.outer)
        while isinstance(running, _Splicing):
            if running.gen_fn.program.definition is callee.program.definition:
                raise RecursiveInlineError(self._here(), callee.name)
            running = running.outer
        return callee

    @final
    def within(self, callee: StaticFunction[..., Any], call: Call[Any], function: FunctionType) -> Any:
        """Run a generated function of a callee that is spliced in."""
        caller, outer = self.gen_fn, self.outer
        self.gen_fn, self.outer = callee, _Splicing(caller, outer)
        try:
            return self._enter(callee, call, function)
        finally:
            self.gen_fn, self.outer = caller, outer

    @final
    def refuse(self, given: object, address: str) -> NoReturn:
        """Refuse to visit what is not a call."""
        raise NotACallError(self._here(), given, address)

    @final
    def locate(self, error: BaseException, path: Path) -> None:
        """Note on an error the address where it was raised."""
        if isinstance(error, ParameterError):  # torch may refuse a parameter before we could
            error.locate(path, self.gen_fn.name)
        annotate_address(error, path)

    def _enter(self, gen_fn: StaticFunction[..., Any], call: Call[Any], function: FunctionType) -> Any:
        source: Any = gen_fn.source
        args = (source.__self__, *call.args) if isinstance(source, MethodType) else call.args
        outer, self.function = self.function, function
        try:
            return run(self, MethodType(function, self), args, call.kwargs)
        finally:
            self.function = outer

    def _here(self) -> str:
        """Return the name of the running function, and the line of the user's that it is at."""
        return location(self.gen_fn, self.function) if self.function else self.gen_fn.name

    def _place(self, node: Any) -> str:
        return f"{self.gen_fn.name} ({node.place.file}:{node.place.line})"


@final
@dataclass(slots=True)
class _Splicing:
    """A function whose body waits for a spliced one."""

    gen_fn: StaticFunction[..., Any]
    outer: Running | None
