"""The log density of a view and its gradient, as searches for a mode ask for them: in Python or compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from gen_core import NONE, GenerativeFunction, Selection, Trace
from gen_inflib.compiling import compiled
from gen_inflib.marginalised import View, view_of
from gen_inflib.unconstrained import Scored, scored

R = TypeVar("R")

Scorer: TypeAlias = Callable[[Tensor], Scored]
"""From a position, shape `(n,)`, to the log density and its gradient there."""


class Climbable(NamedTuple):
    """What is to be climbed. Hashable, and compared by what it is made of."""

    gen_fn: GenerativeFunction[..., Any]
    """Whose traces are moved."""
    moving: Selection
    """Continuous choices, less those that are summed over."""
    enumerated: Selection
    """Finite choices to sum over."""
    jacobian: bool
    """Whether the density is that of the position, and not of the choices."""

    @classmethod
    def of(
        cls, trace: Trace[Any], selected: Selection, enumerated: Selection, *, jacobian: bool
    ) -> Climbable:
        """Return what there is to climb; choices that are summed over may be among the selected ones."""
        moving = selected if enumerated is NONE else selected - enumerated
        return cls(trace.gen_fn, moving, enumerated, jacobian)

    def view(self, trace: Trace[R]) -> View[R]:
        """Return the view of a trace that moves these choices."""
        return view_of(trace, self.moving, self.enumerated)

    def scored(self, view: View[Any], position: Tensor) -> Scored:
        """Return the log density and its gradient at a position."""
        return scored(partial(view.log_density, jacobian=self.jacobian), position)


def scorer(climbable: Climbable, view: View[Any], algorithm: str, *, compile: bool) -> Scorer:
    """Return a function of positions of `view`; a program is kept for other traces and later searches.

    Raises:
        MissingPackageError: `compile` is asked for, and gen-torch is not installed; `algorithm` needs it.
    """
    if not compile:
        return partial(climbable.scored, view)
    program, trace = program_of(climbable, algorithm), view.trace

    def score(position: Tensor) -> Scored:
        # What autograd is told within the program does not reach outside of it.
        with torch.no_grad():
            return Scored(*program(trace, position.detach()))

    return score


@lru_cache(maxsize=32)
def program_of(climbable: Climbable, algorithm: str) -> Any:
    """Return the compiled function of a trace and a position; `algorithm` is what asks for it."""

    def score(trace: Trace[Any], position: Tensor) -> Scored:
        log_density, gradient = climbable.scored(climbable.view(trace), position)
        # A program does not check parameters: the density is NaN where Python stops without a gradient.
        return Scored(log_density, torch.where(log_density.isnan(), 0.0, gradient))

    return compiled(score, f"{algorithm}(compile=True)")
