"""The selected choices of a trace as a point that kernels without gradients move."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, Protocol, TypeVar, final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import ChoiceMap, Selection, Trace
from gen_core.judge import judge_selection
from gen_core.readable import values_are_readable
from gen_core.selection_build import as_selection
from gen_distributions import normal
from gen_inflib.kernel_errors import StructureChangedError
from gen_inflib.position_errors import NoPositionError
from gen_inflib.unconstrained import Unconstrained

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Placed(NamedTuple):
    """A trace, and the log density of its point, shape `()`."""

    trace: Any
    log_density: Tensor


class Point(Protocol[R_co]):
    """A trace as a point of n real numbers."""

    @property
    def position(self) -> Tensor:
        """Where it is, shape `(n,)`."""
        ...

    @property
    def log_density(self) -> Tensor:
        """The log density there, shape `()`."""
        ...

    def moved(self, position: Tensor) -> Placed:
        """Return the trace at another position, and the log density there."""
        ...


def point_of(trace: Trace[R], selection: Selection) -> Point[R]:
    """Return the selected choices as a point: as they are if all may be any real numbers, else moved there.

    Raises:
        NoPositionError: Nothing is selected, or a discrete choice.
        NoBijectionError: The support of a choice has no bijection from the real line.
        UnknownSelectionError: The selection names an address that does not exist.
    """
    selected = as_selection(selection)
    judge_selection(selected, trace)
    chosen = trace.choices.filter(selected)
    if chosen.is_empty:
        raise NoPositionError.empty(trace.gen_fn.name, selected)
    if all(_is_real(trace.subtrace(path)) for path in chosen.paths()):
        return Plain(trace, chosen)
    return Stretched(trace, selected)


@final
class Plain(Generic[R]):
    """Choices that may be any real numbers. Moving costs an update."""

    def __init__(self, trace: Trace[R], chosen: ChoiceMap) -> None:
        """Look at a trace; `chosen` are the choices that move."""
        self.trace = trace
        self.chosen = chosen

    @property
    def position(self) -> Tensor:
        """The values."""
        return self.chosen.to_vector()

    @property
    def log_density(self) -> Tensor:
        """The score."""
        return self.trace.score

    def moved(self, position: Tensor) -> Placed:
        """Return the updated trace, and its score.

        Raises:
            StructureChangedError: It makes other choices.
        """
        trace = self.trace.update(self.chosen.from_vector(position)).trace
        check_structure(self.trace, trace)
        return Placed(trace, trace.score)


@final
class Stretched(Generic[R]):
    """Choices on the real line: the log density has the Jacobian in it. A move costs two runs."""

    def __init__(self, trace: Trace[R], selection: Selection) -> None:
        """Look at a trace."""
        self.view = Unconstrained(trace, selection)

    @property
    def position(self) -> Tensor:
        """The numbers on the real line."""
        return self.view.position

    @property
    def log_density(self) -> Tensor:
        """The score and the Jacobian."""
        return self.view.log_density(self.view.position)

    def moved(self, position: Tensor) -> Placed:
        """Return the trace there, and the log density."""
        return Placed(self.view.trace_at(position), self.view.log_density(position))


def check_structure(before: Trace[Any], after: Trace[Any]) -> None:
    """Raise StructureChangedError if a move of values made choices appear or vanish, where that can be."""
    # In a batch and in a staged program, structure cannot depend on values.
    if values_are_readable() and set(before.choices.paths()) != set(after.choices.paths()):
        raise StructureChangedError(before.gen_fn.name, before.choices.paths(), after.choices.paths())


def _is_real(choice: Trace[Any]) -> bool:
    value, distribution = choice.retval, choice.gen_fn
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    if getattr(distribution, "is_discrete", False):
        return False
    support: Any = distribution.support(*choice.call.args, **choice.call.kwargs)  # type: ignore[attr-defined]
    if isinstance(support, constraints.independent):
        support = support.base_constraint
    return support is constraints.real or support is constraints.real_vector


def unit_vector(size: int, like: Tensor) -> Tensor:
    """Return a direction in `size` dimensions, uniform on the sphere; 1 in one dimension."""
    if size == 1:
        return torch.ones_like(like)
    noise = normal.sample(torch.zeros_like(like), 1.0)
    direction: Tensor = noise / noise.norm()
    return direction
