"""The Metropolis-adjusted Langevin algorithm: a step along the gradient, with noise."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from gen_core import NONE, Selection, Trace
from gen_inflib.hmc import HamiltonianInfo, hmc
from gen_inflib.metrics import IDENTITY, Metric

R = TypeVar("R")


def mala(
    trace: Trace[R],
    selection: Selection,
    *,
    step_size: float | Tensor,
    metric: Metric = IDENTITY,
    enumerate: Selection = NONE,
) -> tuple[Trace[R], HamiltonianInfo]:
    """Take one step that leaves the distribution proportional to exp(score) as it is.

    On the real line (see `Unconstrained`), with pi the density there, the proposal is

        q' ~ N(q + step^2/2 M^-1 grad log pi(q), step^2 M^-1),

    accepted with probability min(1, pi(q') N(q; from q') / (pi(q) N(q'; from q))). This is Hamiltonian Monte
    Carlo with one leapfrog: the proposal is its end, and the ratio is the exponential of the energy that it
    loses.

    Args:
        trace: The current trace.
        selection: The choices to move, all continuous.
        step_size: The standard deviation of the proposal, where the metric is the identity.
        metric: M; the best inverse is the covariance of the target.
        enumerate: Finite choices to sum over while the others move; they are drawn given the others after.

    Returns:
        The new trace, or the old one where the proposal was rejected, and what happened.

    Raises:
        StepSizeError: `step_size` is not positive.
        ImpossibleStartError: The trace has no finite log density.
        NoPositionError: A selected choice is discrete, or none is selected.
        MetricError: The metric is for another number of choices.

    Source: Roberts and Tweedie, Bernoulli 2 (1996); for its being a leapfrog, Neal, MCMC using Hamiltonian
    dynamics (2011), section 5.2.
    """
    return hmc(trace, selection, step_size=step_size, num_leapfrogs=1, metric=metric, enumerate=enumerate)
