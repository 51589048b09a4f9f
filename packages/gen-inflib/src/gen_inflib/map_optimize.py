"""Maximum a posteriori: the most probable values of some choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from gen_core import NONE, Call, Choices, Selection, Trace
from gen_inflib.counts import check_count
from gen_inflib.marginalised import View
from gen_inflib.modes import start_of
from gen_inflib.position_errors import ImpossibleStartError
from gen_inflib.scorer import Climbable, Scorer, scorer

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

LINE_SEARCH_LBFGS = partial(LBFGS, line_search_fn="strong_wolfe")
"""Newton's method with a Hessian that is learned; no learning rate to choose."""


class Optimized(NamedTuple, Generic[R_co]):
    """The best trace of a search, and how the search ended."""

    trace: Trace[R_co]
    log_density: Tensor
    """What was maximised, there, shape `()`."""
    gradient_norm: Tensor
    """The largest element of its gradient on the real line, in size, shape `()`: 0 at a mode."""
    has_converged: bool
    """Whether that is below the tolerance."""
    log_densities: Tensor
    """After each step, shape `(num_steps_taken,)`."""


def map_optimize(
    start: Trace[R] | Call[R],
    observations: Choices | None = None,
    *,
    selection: Selection | None = None,
    optimizer: Callable[[Iterable[Tensor]], Optimizer] = LINE_SEARCH_LBFGS,
    num_steps: int = 100,
    tolerance: float = 1e-2,
    jacobian: bool = False,
    enumerate: Selection = NONE,
    compile: bool = False,
) -> Optimized[R]:
    """Climb to a mode of the posterior density of the selected choices.

    The search moves on the real line (see `Unconstrained`), so that choices stay within their supports. By
    default it maximises the density of the choices themselves, exp(score), which is what maximum a
    posteriori usually means. With `jacobian=True` it maximises the density of the unconstrained position,
    exp(score) |det d choices / d position|, whose mode is elsewhere and depends on the bijections: it is
    the one that a Gaussian approximates, and exists where exp(score) peaks at the edge of a support.

    Args:
        start: A trace to start at, or a call to generate one from, given the observations.
        observations: Values of the observed choices, where `start` is a call.
        selection: The choices to move, all continuous; by default all that are not observed.
        optimizer: Makes an optimizer of a list of one tensor, such as `partial(torch.optim.Adam, lr=0.05)`.
        num_steps: How many steps it takes at most. A step of LBFGS evaluates several gradients.
        tolerance: The search ends when no element of the gradient on the real line is larger, in nats.
        jacobian: Whether to maximise the density on the real line.
        enumerate: Finite choices to sum over; in the trace that is returned they are drawn given the others.
        compile: Whether to compile the density and its gradient, through gen-torch; the optimizer stays as
            it is. The program is kept for later searches.

    Returns:
        The best trace that was met.

    Raises:
        OptionsError: A trace came without a selection, or a call without observations.
        ImpossibleStartError: The start has no finite density.
        NoPositionError: A selected choice is discrete, or none is selected.
        StagingError: With compile=True, control flow depends on the value of a tensor.
    """
    check_count("num_steps", num_steps)
    trace, moving = start_of(start, observations, selection)
    climbable = Climbable.of(trace, moving, enumerate, jacobian=jacobian)
    view = climbable.view(trace)
    score = scorer(climbable, view, "map_optimize", compile=compile)
    return climb(view, score, optimizer, num_steps, tolerance).optimized


class Climbed(NamedTuple, Generic[R_co]):
    """A search that has ended, and where."""

    optimized: Optimized[R_co]
    position: Tensor


def climb(
    view: View[R],
    score: Scorer,
    optimizer: Callable[[Iterable[Tensor]], Optimizer],
    num_steps: int,
    tolerance: float,
) -> Climbed[R]:
    """Maximise a log density of the positions of a view."""
    position = view.position
    best = _Best(score, position)
    if not math.isfinite(float(best.log_density)):
        raise ImpossibleStartError(view.trace.gen_fn.name, float(best.log_density), float(view.trace.score))
    at = position.clone().requires_grad_()
    stepper: Any = optimizer([at])

    def closure() -> Tensor:
        return best.look(at)

    history = []
    for _ in range(num_steps):
        stepper.step(closure)
        best.look(at)
        history.append(best.latest)
        if float(best.gradient_norm) <= tolerance or not bool(at.isfinite().all()):
            break
    found = Optimized(
        view.refreshed(view.trace_at(best.position)),
        best.log_density,
        best.gradient_norm,
        float(best.gradient_norm) <= tolerance,
        torch.stack(history),
    )
    return Climbed(found, best.position)


class _Best:
    """The best position that was looked at: line searches may end elsewhere."""

    def __init__(self, score: Scorer, position: Tensor) -> None:
        self._score = score
        self.position = position.detach().clone()
        self.log_density, gradient = score(position)
        self.gradient_norm = gradient.abs().max()
        self.latest = self.log_density

    def look(self, at: Tensor) -> Tensor:
        """Set the gradient of the loss at a position, and return the loss: minus the log density."""
        self.latest, gradient = self._score(at)
        if bool(self.latest > self.log_density) or bool(
            (self.latest == self.log_density) & (gradient.abs().max() < self.gradient_norm)
        ):
            self.log_density, self.gradient_norm = self.latest, gradient.abs().max()
            self.position = at.detach().clone()
        at.grad = -gradient
        # To a line search, where the density is undefined is far below.
        return -torch.where(self.latest.isnan(), -math.inf, self.latest)
