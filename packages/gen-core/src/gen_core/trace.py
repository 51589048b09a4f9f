"""Traces: the record of one run, and the doors that edit, score and differentiate it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final, overload

from gen_core import rooms
from gen_core.address import Address, Key, Path, as_path
from gen_core.address_errors import NoChoiceError
from gen_core.arguments import all_unchanged, compare_arguments, hinted
from gen_core.choicemap import EMPTY
from gen_core.choicemap_build import Choices, choicemap
from gen_core.choicemap_text import describe
from gen_core.diff import (
    UNCHANGED,
    UNKNOWN,
    ArgDiffs,
    Diff,
    retval_version_of,
    revisiting,
    version_of,
)
from gen_core.errors import OtherFunctionError
from gen_core.grad_mode import WithoutGradients
from gen_core.judge import judge_constraints, judge_selection
from gen_core.results import ArgGradients, ChoiceGradients, Updated
from gen_core.selection import ALL, NONE, Selection
from gen_core.selection_build import as_selection
from gen_core.totals import Score, as_number, as_tensor
from gen_core.trace_text import format_trace
from gen_core.verify import verified

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.call import Call
    from gen_core.choicemap import ChoiceMap
    from gen_core.interface import GenerativeFunction

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class Trace(ABC, Generic[R_co]):
    """The record of one run of a generative function. Immutable; every edit returns a new trace.

    An author implements `choices` and `find`; the rest is here.
    """

    __slots__ = ("_call", "_retval", "_retval_version", "_score", "_versions")

    def __init__(
        self, call: Call[Any], retval: R_co, score: Score, versions: tuple[int, ...] | None = None
    ) -> None:
        """Record a finished run.

        Args:
            call: What was run.
            retval: What it returned.
            score: The log density, shape `()`, float64 where the device has it. A Python number stands for
                a tensor on the CPU, which is made when somebody asks: few ask for that of every edit.
            versions: The version number of each argument, where they are known.
        """
        self._call = call
        self._retval = retval
        self._score: Any = score
        self._versions = tuple(map(version_of, call.values())) if versions is None else versions
        self._retval_version = retval_version_of(retval)

    @property
    def call(self) -> Call[R_co]:
        """The function and the arguments that were run."""
        return self._call

    @property
    def gen_fn(self) -> GenerativeFunction[..., R_co]:
        """The generative function that was run."""
        return self._call.gen_fn

    @property
    def args(self) -> tuple[Any, ...]:
        """The bound positional arguments."""
        return self._call.args

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """The bound keyword-only arguments."""
        return self._call.kwargs

    @property
    def retval(self) -> R_co:
        """What the function returned."""
        return self._retval

    @property
    def score(self) -> Tensor:
        """The log density log p(t, r; x) - log q(r; x, t), shape `()`, in nats."""
        return as_tensor(self._score)

    @property
    def raw_score(self) -> Score:
        """The score as it is held: for who can use a Python number."""
        return self._score  # type: ignore[no-any-return]

    @property
    def score_number(self) -> float:
        """The score as a Python number; waits for the device that it is on."""
        return as_number(self._score)

    @property
    def versions(self) -> tuple[int, ...]:
        """One version number an argument (`version_of`), as it was when the run ended."""
        return self._versions

    @property
    def retval_version(self) -> int:
        """The version number of the return value when the run ended."""
        return self._retval_version

    @property
    @abstractmethod
    def choices(self) -> ChoiceMap:
        """The values of the random choices, by address."""

    @abstractmethod
    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace of the choice or callee at exactly `path`, if there is one."""

    def is_intact(self) -> bool:
        """Return whether neither an argument nor the return value was changed in place since the run."""
        values = self._call.values()
        unchanged = tuple(map(version_of, values)) == self.versions
        return unchanged and retval_version_of(self._retval) == self.retval_version

    def mark_changed(self) -> None:
        """Note that an argument or the return value was changed in place: for who rebuilds a trace."""
        self._versions = (-1,) * len(self._call.values())
        self._retval_version = -1

    def visited(self, path: Path) -> bool:
        """Return whether a constraint at `path` was used: whether there is a choice there."""
        found = self.find(path)
        return found is not None and () in found.choices

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that were not used; override to look at fewer of them."""
        return [path for path in constraints.paths() if not self.visited(path)]

    @overload
    def __getitem__(self, address: Key[T], /) -> T: ...
    @overload
    def __getitem__(self, address: Address, /) -> Any: ...
    @final
    def __getitem__(self, address: Any, /) -> Any:
        """Return the value of a choice, or what a callee returned."""
        return self.subtrace(address).retval

    @final
    def __contains__(self, address: Address | Key[Any]) -> bool:
        """Return whether a choice or a callee is at `address`."""
        return self.find(as_path(address)) is not None

    __iter__ = None
    """A trace is not a sequence: iterate over `trace.choices.items()`."""

    @final
    def subtrace(self, address: Address | Key[Any]) -> Trace[Any]:
        """Return the trace of the choice or callee at `address`.

        Raises:
            NoChoiceError: Nothing was visited there.
        """
        path = as_path(address)
        found = self.find(path)
        if found is None:
            raise NoChoiceError(path, self.choices.paths())
        return found

    @final
    def update(
        self,
        constraints: Choices,
        call: Call[Any] | None = None,
        *,
        argdiffs: Diff | Mapping[str, Diff] | None = None,
    ) -> Updated[R_co]:
        """Move to new arguments and constraints; every choice that is not constrained is kept.

        Args:
            constraints: New values of choices, by address.
            call: The same function with new arguments; without it the old arguments stay.
            argdiffs: How arguments changed: one hint for all, or hints by parameter name. What is not
                hinted is compared. Hints save work and never change a result. UNKNOWN for all revisits
                everything, callees included: parameters, which are no arguments, may have been trained.

        Returns:
            `(trace', weight, retdiff, discard)`, with
            weight = trace'.project(addresses of the old trace and the constraints) - trace.score.

        Raises:
            UnvisitedConstraintsError: A constraint's address was not visited.
            OtherFunctionError: `call` is a call of another function.
        """
        given = choicemap(constraints)
        updated = self._edited(rooms.update, given, given.is_empty, call, argdiffs)
        judge_constraints(given, updated.trace)
        return updated

    @final
    def regenerate(
        self,
        selection: Selection,
        call: Call[Any] | None = None,
        *,
        argdiffs: Diff | Mapping[str, Diff] | None = None,
    ) -> Updated[R_co]:
        """Draw the selected choices again, and move to new arguments; every other choice is kept.

        Args:
            selection: The addresses of the choices to draw again.
            call: The same function with new arguments; without it the old arguments stay.
            argdiffs: As for `update`.

        Returns:
            `(trace', weight, retdiff, discard)`, with weight = trace'.project(addresses of the old trace
            outside the selection) - trace.project(addresses of the new trace outside the selection).

        Raises:
            UnknownSelectionError: The selection names an address that neither trace has.
            OtherFunctionError: `call` is a call of another function.
        """
        selected = as_selection(selection)
        updated = self._edited(rooms.regenerate, selected, selected is NONE, call, argdiffs)
        judge_selection(selected, self, updated.trace)
        return updated

    @final
    def project(self, selection: Selection) -> Tensor:
        """Return log p(t, r; x) - log q(t; t|S, x) - log q(r; x, t), shape `()`, in nats.

        `project(ALL)` is the score. With a forward internal proposal and nothing untraced it is the sum
        of the log densities of the selected choices.
        """
        selected = as_selection(selection)
        judge_selection(selected, self)
        return self._score_of(selected)

    @final
    def choice_gradients(self, selection: Selection = NONE, retgrad: object = None) -> ChoiceGradients:
        """Return gradients of score + <retval, retgrad> in the arguments and the selected choices.

        Args:
            selection: Continuous choices to differentiate in.
            retgrad: The gradient of something with respect to the return value, in its structure.

        Raises:
            GradientError: A selected choice is discrete, or `retgrad` does not fit the return value.
        """
        selected = as_selection(selection)
        judge_selection(selected, self)
        return rooms.choice_gradients(self, selected, retgrad)

    @final
    def accumulate_param_gradients(self, retgrad: object = None, scale_factor: float = 1.0) -> ArgGradients:
        """Add scale_factor * gradient of (score + <retval, retgrad>) to `.grad` of every parameter.

        It ascends: train with `maximize=True`, or with `scale_factor=-1/n`.

        Returns:
            The gradients in the arguments, unscaled.
        """
        return rooms.accumulate_param_gradients(self, retgrad, scale_factor)

    @final
    def format(self, *, observed: Selection = NONE) -> str:
        """Return a tree of addresses, values and log densities, marking the observed choices."""
        return format_trace(self, as_selection(observed))

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"<trace of {self.gen_fn.name}: {len(self.choices)} choices, score {describe(self.score)}>"

    def _score_of(self, selection: Selection) -> Tensor:
        return self.score if selection is ALL else rooms.project(self, selection)

    def _edited(
        self,
        room: Callable[[Trace[R_co], Call[Any], ArgDiffs, Any], Updated[R_co]],
        change: ChoiceMap | Selection,
        keeps_choices: bool,
        call: Call[Any] | None,
        argdiffs: Diff | Mapping[str, Diff] | None,
    ) -> Updated[R_co]:
        """Enter a room with bound arguments and hints, unless nothing is to be done."""
        new, diffs = self._moved(call, argdiffs)

        def edit(hints: ArgDiffs) -> Updated[R_co]:
            if keeps_choices and all_unchanged(hints):
                return Updated(self, self.score.new_zeros(()), UNCHANGED, EMPTY)
            return room(self, new, hints, change)

        with WithoutGradients():
            if argdiffs is not UNKNOWN:
                return verified(self, diffs, edit)
            with revisiting():
                return verified(self, diffs, edit)

    def _moved(
        self, call: Call[Any] | None, hints: Diff | Mapping[str, Diff] | None
    ) -> tuple[Call[Any], ArgDiffs]:
        old = self._call
        new = old if call is None else call
        if new.gen_fn is not old.gen_fn and new.gen_fn != old.gen_fn:
            raise OtherFunctionError(old.gen_fn.name, new.gen_fn.name)
        values = new.values()
        if new is old and tuple(map(version_of, values)) == self.versions:
            diffs: ArgDiffs = (UNCHANGED,) * len(values)
        else:
            diffs = compare_arguments(old.values(), values, self.versions)
        if hints is None:
            return new, diffs
        names = new.gen_fn.binder.names(new.args, new.kwargs)
        return new, hinted(diffs, hints, names, new.gen_fn.name)
