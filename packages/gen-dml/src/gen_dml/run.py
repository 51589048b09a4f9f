"""One run of a dynamic function: what `@` and `param` do, whatever the operation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import (
    ChoiceTrace,
    Distribution,
    DuplicateAddressError,
    InlineError,
    ParameterError,
    Trace,
    rooms,
)
from gen_core.address import Path, as_path
from gen_core.draw import draw
from gen_core.run import Running, run
from gen_core.scoring import score_choices
from gen_core.surface import Inline
from gen_core.where import annotate_address, location

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

    from gen_core import Call
    from gen_dml.language import DynamicFunction

T = TypeVar("T")


class Run(ABC):
    """The handler of one run of a body: an operation says what a choice and a callee do.

    Choices of plain distributions are drawn or given here and scored together when the body has
    returned; everything else is entered through its rooms.
    """

    def __init__(self, gen_fn: DynamicFunction[..., Any], call: Call[Any]) -> None:
        """Prepare a run of `gen_fn` on the arguments of `call`."""
        self.gen_fn = gen_fn
        self.call = call
        self.outer: Running | None = None
        self.records: dict[Path, Trace[Any]] = {}
        self.new: list[ChoiceTrace[Any]] = []
        self.new_paths: list[Path] = []
        self._above: set[Path] = set()
        # A plugin's edits of distributions are found in their rooms.
        self._plain: type | None = None if rooms.is_edited(Distribution) else Distribution

    @final
    def visit(self, call: Call[T], address: Any, /) -> T:
        """Handle `call @ address`."""
        if type(address) is Inline:
            return self._splice(call)
        path = as_path(address)
        if path in self.records or path in self._above or len(path) != 1:
            self._claim(path)
        try:
            if type(call.gen_fn) is self._plain:
                return self.visit_choice(call, path)
            return self.visit_callee(call, path)
        except BaseException as error:
            if isinstance(error, ParameterError):  # torch may refuse a parameter before we could
                error.locate(path, self.gen_fn.name)
            annotate_address(error, path)
            raise

    @abstractmethod
    def visit_choice(self, call: Call[T], path: Path) -> T:
        """Return the value of a choice from a plain distribution."""

    @abstractmethod
    def visit_callee(self, call: Call[T], path: Path) -> T:
        """Return what any other generative function returns."""

    @final
    def param(self, name: str, init: object, constraint: Constraint | None, /) -> Tensor:
        """Handle `param(name, init, constraint)`."""
        return self.gen_fn.params.value(name, init, constraint)

    @final
    def execute(self) -> Any:
        """Run the body, and return what it returns."""
        return run(self, self.gen_fn.source, self.call.args, self.call.kwargs)

    @final
    def add_choice(self, call: Call[T], path: Path, value: T) -> ChoiceTrace[T]:
        """Record a choice that is to be scored."""
        choice = self.records[path] = ChoiceTrace(call, value)
        self.new.append(choice)
        self.new_paths.append(path)
        return choice

    @final
    def draw_choice(self, call: Call[T], path: Path) -> T:
        """Draw the value of a choice, and record it."""
        value: T = draw(call.gen_fn, call.args, call.kwargs)  # type: ignore[arg-type]
        self.add_choice(call, path, value)
        return value

    @final
    def score_new(self) -> Tensor:
        """Score the recorded choices, and return the sum, shape `()`, float64."""
        return score_choices(self.new, self.new_paths, self.gen_fn.name)

    def _claim(self, path: Path) -> None:
        """Take an address, refusing one that is taken, or above or below one that is."""
        if path in self.records:
            self._refuse(path, path)
        if path in self._above or not path:
            self._refuse(path, next((other for other in self.records if other[: len(path)] == path), path))
        for length in range(1, len(path)):
            above = path[:length]
            if above in self.records:
                self._refuse(path, above)
            self._above.add(above)

    def _refuse(self, path: Path, other: Path) -> None:
        raise DuplicateAddressError(location(self.gen_fn, self.gen_fn.source), path, other)

    def _splice(self, call: Call[T]) -> T:
        """Run a callee of the same language under this handler: its addresses become this run's."""
        callee: Any = call.gen_fn
        caller = self.gen_fn
        if type(callee) is not type(caller):
            place = location(caller, caller.source)
            raise InlineError(place, callee.name, type(callee).__name__)
        outer = self.outer
        self.gen_fn, self.outer = callee, _Splicing(caller, outer)
        try:
            value: T = run(self, callee.source, call.args, call.kwargs)
            return value
        finally:
            self.gen_fn, self.outer = caller, outer


@final
@dataclass(slots=True)
class _Splicing:
    """A function whose body waits for a spliced one."""

    gen_fn: DynamicFunction[..., Any]
    outer: Running | None
