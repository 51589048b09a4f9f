"""Random-walk Metropolis: Gaussian steps on the real line."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from gen_core import Selection, Trace
from gen_distributions import normal
from gen_inflib.accept import accept_or_stay
from gen_inflib.checks import check_positive
from gen_inflib.metropolis_hastings import MetropolisHastingsInfo
from gen_inflib.points import point_of

R = TypeVar("R")


def random_walk(
    trace: Trace[R], selection: Selection, *, scale: float | Tensor
) -> tuple[Trace[R], MetropolisHastingsInfo]:
    """Take one step that leaves the distribution proportional to exp(score) as it is.

    The selected choices move together, by independent normal steps; those that cannot be any real number
    move on the real line, through the bijection onto their support. The log acceptance ratio is the change
    of the log density there,

        log ratio = score(new) + log |J(new)| - score(old) - log |J(old)|,

    where J is the Jacobian of the bijections, 1 for choices that may be any real number.

    Args:
        trace: The current trace.
        selection: Continuous choices.
        scale: The standard deviation of a step, positive: a number, or a tensor of one for each element, in
            the order of `ChoiceMap.to_vector`.

    Returns:
        The new trace, or the old one where the proposed trace was rejected, and what happened.

    Raises:
        ScaleError: `scale` is not positive.
        NoPositionError: Nothing is selected, or a discrete choice.
        NoBijectionError: The support of a choice has no bijection from the real line.
        StructureChangedError: Other values make other choices.
        NotANumberError: The ratio is NaN, where values can be read.

    Source: Metropolis, Rosenbluth, Rosenbluth, Teller and Teller, Journal of Chemical Physics 21 (1953).
    """
    check_positive("scale", scale)
    with torch.no_grad():
        point = point_of(trace, selection)
        position = point.position
        step = scale * normal.sample(torch.zeros_like(position), 1.0)
        proposed, log_density = point.moved(position + step.to(position.dtype))
        log_ratio = log_density - point.log_density
        moved, accepted = accept_or_stay(log_ratio, proposed, trace)
    is_nan = False if isinstance(accepted, bool) else log_ratio.isnan()
    return moved, MetropolisHastingsInfo(accepted, log_ratio, is_nan)
