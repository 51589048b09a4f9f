"""Slice sampling: uniform draws from where the density is above a random level."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import Selection, Trace
from gen_core.readable import values_are_readable
from gen_distributions import uniform, uniform_discrete
from gen_inflib.accept import choose_values, log_uniform
from gen_inflib.checks import check_positive
from gen_inflib.counts import check_count
from gen_inflib.errors import NotANumberError
from gen_inflib.masked_loop import masked_loop
from gen_inflib.points import Point, point_of, unit_vector
from gen_inflib.position_errors import ImpossibleStartError

R = TypeVar("R")


class SliceInfo(NamedTuple):
    """What happened in one step."""

    accepted: Tensor
    """Whether a point of the slice was found before `max_shrinks` were tried, a boolean of shape `()`."""
    num_evaluations: Tensor
    """How often the log density was evaluated to find the slice and a point of it, shape `()`."""
    is_nan: Tensor
    """Whether the log density was NaN somewhere on the way; such points are not in the slice."""


class _Interval(NamedTuple):
    left: Tensor
    right: Tensor
    left_steps: Tensor
    """How many more times the left end may step out."""
    right_steps: Tensor
    above: tuple[Tensor, Tensor]
    """Whether the density at each end is above the level."""
    num_evaluations: Tensor
    is_nan: Tensor


class _Search(NamedTuple):
    left: Tensor
    right: Tensor
    at: Tensor
    is_found: Tensor
    num_evaluations: Tensor
    is_nan: Tensor


def slice_sampling(
    trace: Trace[R],
    selection: Selection,
    *,
    width: float | Tensor = 1.0,
    max_steps_out: int = 8,
    max_shrinks: int = 50,
) -> tuple[Trace[R], SliceInfo]:
    """Take one step that leaves the distribution proportional to exp(score) as it is.

    With f the density on the real line (see `random_walk`), a level u ~ uniform(0, f(x)) is drawn; an
    interval of length `width` that holds x, placed at random, steps out by `width` at both ends while the
    density there is above u, `max_steps_out` times in all; points are drawn uniformly from it until one is
    above u, and every other one becomes the end on its side of x. Several choices, or elements of one,
    move along a line through x in a direction uniform on the sphere.

    In a batch all chains take as many evaluations as the slowest of them, and compiled the most that are
    allowed: choose `max_steps_out` and `max_shrinks` accordingly.

    Args:
        trace: The current trace.
        selection: Continuous choices.
        width: How wide a slice typically is, positive.
        max_steps_out: How many times to step out at most; they are shared out at random between the ends.
        max_shrinks: How many points to try at most; after that the chain stays, which leaves the
            distribution as it is too.

    Returns:
        The new trace, and what happened.

    Raises:
        ScaleError: `width` is not positive.
        CountError: A limit is too small.
        NoPositionError: Nothing is selected, or a discrete choice.
        ImpossibleStartError: The log density is not finite at the current trace, where that can be read.
        NotANumberError: The log density is NaN where it is evaluated, where that can be read.
        StructureChangedError: Other values make other choices.

    Source: Neal, Slice sampling, Annals of Statistics 31 (2003), figures 3 and 5.
    """
    check_positive("width", width)
    check_count("max_steps_out", max_steps_out, least=0)
    check_count("max_shrinks", max_shrinks)
    with torch.no_grad():
        point = point_of(trace, selection)
        start = point.position
        here = point.log_density
        _check(trace, here)
        direction = width * unit_vector(start.shape[0], start)
        line = _Line(point, start, direction, here + log_uniform(here))
        found = _shrink(line, _step_out(line, max_steps_out), max_shrinks)
        if values_are_readable() and bool(found.is_nan):
            raise NotANumberError("The log density on a slice", trace.gen_fn.name)
        info = SliceInfo(found.is_found, found.num_evaluations, found.is_nan)
        moved: Trace[R] = line.trace_at(torch.where(found.is_found, found.at, 0.0))
        if values_are_readable():
            return (moved if bool(found.is_found) else trace), info
        return choose_values(found.is_found, moved, trace), info


class _Line:
    """The log density along a line, in units of the width from the current point."""

    def __init__(self, point: Point[R], start: Tensor, direction: Tensor, level: Tensor) -> None:
        self.point = point
        self.start = start
        self.direction = direction
        self.level = level

    def trace_at(self, at: Tensor) -> Trace[R]:
        moved: Trace[R] = self.point.moved(self._position(at)).trace
        return moved

    def density(self, at: Tensor) -> Tensor:
        return self.point.moved(self._position(at)).log_density

    def _position(self, at: Tensor) -> Tensor:
        return self.start + (at * self.direction).to(self.start.dtype)


def _step_out(line: _Line, max_steps: int) -> _Interval:
    zero = torch.zeros((), dtype=line.level.dtype, device=line.level.device)
    left = -uniform.sample(zero, 1.0)
    none = torch.zeros((), dtype=torch.int64, device=line.level.device)
    left_steps = uniform_discrete.sample(none, max_steps)
    # From an impossible point, which an error reports where it can, nothing is found.
    undefined = ~line.level.isfinite() & (line.level != -math.inf)
    yes = ~torch.zeros_like(undefined)
    interval = _Interval(left, left + 1, left_steps, max_steps - left_steps, (yes, yes), none, undefined)
    if not max_steps:
        return interval
    return masked_loop(max_steps, _steps_out, lambda _, now: _one_out(line, now), interval)


def _steps_out(interval: _Interval) -> Tensor:
    left, right = interval.above
    return (left & (interval.left_steps > 0)) | (right & (interval.right_steps > 0))


def _one_out(line: _Line, now: _Interval) -> _Interval:
    """Look at an end that may still step out, the left one first, and step out if it is above the level."""
    on_left = now.above[0] & (now.left_steps > 0)
    density = line.density(torch.where(on_left, now.left, now.right))
    above = density > line.level
    out = above.to(now.left.dtype)
    step = above.long()
    return _Interval(
        torch.where(on_left, now.left - out, now.left),
        torch.where(on_left, now.right, now.right + out),
        torch.where(on_left, now.left_steps - step, now.left_steps),
        torch.where(on_left, now.right_steps, now.right_steps - step),
        (torch.where(on_left, above, now.above[0]), torch.where(on_left, now.above[1], above)),
        now.num_evaluations + 1,
        now.is_nan | density.isnan(),
    )


def _shrink(line: _Line, interval: _Interval, max_shrinks: int) -> _Search:
    # Drawn before the loop, which may be masked.
    zeros = interval.left.new_zeros(max_shrinks)
    chances = uniform.sample(zeros, 1.0)
    search = _Search(
        interval.left,
        interval.right,
        torch.zeros_like(interval.left),
        torch.zeros_like(interval.is_nan),
        interval.num_evaluations,
        interval.is_nan,
    )

    def shrink(i: int, now: _Search) -> _Search:
        at = now.left + chances[i] * (now.right - now.left)
        density = line.density(at)
        return _Search(
            torch.where(at < 0, at, now.left),
            torch.where(at < 0, now.right, at),
            at,
            density > line.level,
            now.num_evaluations + 1,
            now.is_nan | density.isnan(),
        )

    return masked_loop(max_shrinks, lambda now: ~now.is_found, shrink, search)


def _check(trace: Trace[R], log_density: Tensor) -> None:
    if values_are_readable() and not math.isfinite(float(log_density)):
        raise ImpossibleStartError(trace.gen_fn.name, float(log_density), float(trace.score))
