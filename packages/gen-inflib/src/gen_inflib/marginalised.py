"""Views of a trace in which named finite choices are summed over."""

from __future__ import annotations

import math
from typing import Generic, Protocol, TypeVar, final

import torch
from torch import Tensor

from gen_core import NONE, ChoiceMap, Selection, Trace, rooms
from gen_core.readable import values_are_readable
from gen_core.selection_build import as_selection
from gen_inflib.enumeration import Enumeration, Purpose
from gen_inflib.position_errors import ImpossibleStartError
from gen_inflib.unconstrained import Known, Scored, Unconstrained, scored

R = TypeVar("R")


class View(Protocol[R]):
    """What gradient-based algorithms see of a trace; `Unconstrained` and `Marginalised` are views."""

    @property
    def trace(self) -> Trace[R]:
        """The trace that is viewed."""
        ...

    @property
    def position(self) -> Tensor:
        """Where it is, shape `(n,)`."""
        ...

    @property
    def size(self) -> int:
        """The number of real numbers, n."""
        ...

    def log_density(self, position: Tensor, *, jacobian: bool = True) -> Tensor:
        """Return the log density at a position, shape `()`, differentiably."""
        ...

    def scored(self, position: Tensor) -> Scored:
        """Return the log density and its gradient, without graphs."""
        ...

    def start(self) -> tuple[Tensor, Scored]:
        """Return the position of the trace, with its density and gradient, which must be finite."""
        ...

    def trace_at(self, position: Tensor) -> Trace[R]:
        """Return the trace with the moved choices at `position`."""
        ...

    def known_at(self, position: Tensor, log_density: Tensor) -> Known | None:
        """Return the choices and their score, given the log density, without running the model; or None."""
        ...

    def refreshed(self, trace: Trace[R]) -> Trace[R]:
        """Return the trace with what was summed over drawn given everything else."""
        ...


def view_of(trace: Trace[R], selection: Selection, enumerated: Selection = NONE) -> View[R]:
    """Return the view that moves `selection` and sums over `enumerated`."""
    if enumerated is NONE:
        return Unconstrained(trace, selection)
    return Marginalised(trace, selection, enumerated)


@final
class Marginalised(Generic[R]):
    """A view from the real line that sums over finite choices.

    With `x` the moved choices and `z` the finite ones, which range over the product of their supports,

        log_density(position) = log sum_z exp(score(x, z)) + log |det d x / d position|.

    Drawing z given x afterwards leaves the joint distribution of both as it is. The supports are taken at
    the trace that is viewed; they may not depend on what moves.
    """

    def __init__(self, trace: Trace[R], selection: Selection, enumerated: Selection) -> None:
        """Look at a trace.

        Raises:
            EnumerationError: A choice to be summed over is not finite, or there are too many combinations.
        """
        finite = as_selection(enumerated)
        self._finite = Enumeration(trace, finite, _SUMMED)
        self._base = Unconstrained(trace, as_selection(selection) - finite)

    @property
    def trace(self) -> Trace[R]:
        """The trace that is viewed."""
        return self._base.trace

    @property
    def position(self) -> Tensor:
        """Where it is, shape `(n,)`."""
        return self._base.position

    @property
    def size(self) -> int:
        """The number of real numbers, n."""
        return self._base.size

    def log_density(self, position: Tensor, *, jacobian: bool = True) -> Tensor:
        """Return the log of the sum of the densities, shape `()`."""
        base = self._base
        return self._finite.weigh(
            lambda z: base.traced(position, base.fixed.override(z), jacobian=jacobian)
        ).total

    def scored(self, position: Tensor) -> Scored:
        """Return the log density and its gradient, without graphs."""
        return scored(self.log_density, position)

    def start(self) -> tuple[Tensor, Scored]:
        """Return the position of the trace, with its density and gradient."""
        position = self.position
        here = self.scored(position)
        if values_are_readable() and not math.isfinite(float(here.log_density)):
            raise ImpossibleStartError(
                self.trace.gen_fn.name, float(here.log_density), float(self.trace.score)
            )
        return position, here

    def trace_at(self, position: Tensor) -> Trace[R]:
        """Return the trace with the moved choices at `position`, and the finite ones as they were."""
        return self._base.trace_at(position)

    def known_at(self, position: Tensor, log_density: Tensor) -> None:
        """Return None: what was summed over is drawn from the model."""

    def refreshed(self, trace: Trace[R]) -> Trace[R]:
        """Return the trace with the finite choices drawn given everything else."""
        with torch.no_grad():
            fixed = trace.choices

            def scored(z: ChoiceMap) -> tuple[Trace[R], Tensor]:
                new = rooms.assess(trace.call, fixed.override(z))
                return new, new.score

            drawn = self._finite.draw(self._finite.weigh(scored))
            return rooms.assess(trace.call, fixed.override(drawn.choices))


_SUMMED = Purpose(
    ", in `enumerate`,",
    "The finite choices in `enumerate`",
    "Sum over fewer at a time, sum over them in the model, with a mixture distribution, or make them choices "
    "of independent elements: of a Map, or of tensors of one shape.",
)
