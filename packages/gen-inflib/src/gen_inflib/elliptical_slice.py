"""Elliptical slice sampling: choices with a normal prior move on an ellipse through a draw of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import Address, Trace
from gen_core.readable import values_are_readable
from gen_distributions import low_rank_multivariate_normal, multivariate_normal, normal, uniform
from gen_inflib.accept import choose_values, log_uniform
from gen_inflib.counts import check_count
from gen_inflib.errors import NotANumberError
from gen_inflib.kernel_errors import PriorError
from gen_inflib.masked_loop import masked_loop
from gen_inflib.points import check_structure
from gen_inflib.position_errors import ImpossibleStartError
from gen_inflib.slice import SliceInfo

R = TypeVar("R")

NORMAL_DISTRIBUTIONS = (normal, multivariate_normal, low_rank_multivariate_normal)


class _Search(NamedTuple):
    low: Tensor
    high: Tensor
    angle: Tensor
    is_found: Tensor
    num_evaluations: Tensor
    is_nan: Tensor


def elliptical_slice(
    trace: Trace[R], address: Address, *, max_shrinks: int = 50
) -> tuple[Trace[R], SliceInfo]:
    """Take one step that leaves the distribution proportional to exp(score) as it is.

    With x ~ N(m, C) the choice, given everything before it, and v another draw of that prior, the choice
    moves to

        x(a) = m + (x - m) cos a + (v - m) sin a

    for an angle a at which the likelihood ratio exceeds a level u ~ uniform(0, 1):

        log L(x(a)) - log L(x) = weight of trace.update({address: x(a)}) - (log N(x(a)) - log N(x)),

    the weight less the change of the log prior N(m, C), which the ellipse accounts for. The bracket of
    angles shrinks towards 0 until one is found.

    Args:
        trace: The current trace.
        address: The address of a choice from `normal`, `multivariate_normal` or
            `low_rank_multivariate_normal`, of any shape.
        max_shrinks: How many angles to try at most; after that the chain stays, which leaves the
            distribution as it is too. Compiled, all are tried.

    Returns:
        The new trace, and what happened.

    Raises:
        PriorError: The choice has another distribution.
        NoChoiceError: There is no choice at `address`.
        CountError: `max_shrinks` is less than 1.
        ImpossibleStartError: The score is not finite at the current trace, where that can be read.
        NotANumberError: The likelihood is NaN where it is evaluated, where that can be read.
        StructureChangedError: Other values make other choices.

    Source: Murray, Adams and MacKay, Elliptical slice sampling, AISTATS (2010).
    """
    check_count("max_shrinks", max_shrinks)
    with torch.no_grad():
        ellipse = _Ellipse(trace, address)
        found = _search(ellipse, max_shrinks)
        if values_are_readable() and bool(found.is_nan):
            raise NotANumberError("The likelihood on an ellipse", trace.gen_fn.name)
        info = SliceInfo(found.is_found, found.num_evaluations, found.is_nan)
        moved = ellipse.trace_at(torch.where(found.is_found, found.angle, 0.0))
        if values_are_readable():
            check_structure(trace, moved)
            return (moved if bool(found.is_found) else trace), info
        return choose_values(found.is_found, moved, trace), info


class _Ellipse:
    """The ellipse through a choice and a draw of its prior."""

    def __init__(self, trace: Trace[Any], address: Address) -> None:
        choice = trace.subtrace(address)
        distribution: Any = choice.gen_fn
        if not any(distribution == known for known in NORMAL_DISTRIBUTIONS):
            raise PriorError(address, distribution.name)
        if values_are_readable() and not math.isfinite(float(trace.score)):
            raise ImpossibleStartError(trace.gen_fn.name, float(trace.score), float(trace.score))
        self.trace = trace
        self.address = address
        self.prior = choice.score
        # The first argument of each of them is `loc`.
        self.mean = torch.as_tensor(choice.call.args[0]).to(choice.retval)
        self.deviation = choice.retval - self.mean
        self.other = distribution.sample(*choice.call.args, **choice.call.kwargs) - self.mean

    def trace_at(self, angle: Tensor) -> Trace[Any]:
        """Return the trace with the choice at an angle."""
        trace: Trace[Any] = self._updated(angle).trace
        return trace

    def log_likelihood_ratio(self, angle: Tensor) -> Tensor:
        """Return log L at an angle less log L at the trace."""
        moved, weight, _, _ = self._updated(angle)
        change: Tensor = moved.subtrace(self.address).score.to(weight) - self.prior.to(weight)
        ratio: Tensor = weight - change
        return ratio

    def _updated(self, angle: Tensor) -> Any:
        dtype = self.deviation.dtype
        cosine, sine = angle.cos().to(dtype), angle.sin().to(dtype)
        return self.trace.update({self.address: self.mean + self.deviation * cosine + self.other * sine})


def _search(ellipse: _Ellipse, max_shrinks: int) -> _Search:
    score = ellipse.trace.score
    level = log_uniform(score)
    # Drawn before the loop, which may be masked.
    chances = uniform.sample(torch.zeros(max_shrinks, dtype=level.dtype, device=level.device), 1.0)
    angle = 2 * math.pi * chances[0]
    undefined = ~score.isfinite()
    none = torch.zeros((), dtype=torch.int64, device=level.device)
    search = _Search(angle - 2 * math.pi, angle, angle, torch.zeros_like(undefined), none, undefined)

    def shrink(i: int, now: _Search) -> _Search:
        angle = now.angle if i == 0 else now.low + chances[i] * (now.high - now.low)
        ratio = ellipse.log_likelihood_ratio(angle)
        return _Search(
            torch.where(angle < 0, angle, now.low),
            torch.where(angle < 0, now.high, angle),
            angle,
            ratio > level,
            now.num_evaluations + 1,
            now.is_nan | ratio.isnan(),
        )

    return masked_loop(max_shrinks, lambda now: ~now.is_found, shrink, search)
