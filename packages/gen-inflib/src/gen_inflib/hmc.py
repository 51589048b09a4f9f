"""Hamiltonian Monte Carlo: long moves along the gradient of the log density."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import NONE, Selection, Trace
from gen_distributions import normal, uniform
from gen_inflib.counts import check_count
from gen_inflib.integrators import (
    MAX_ENERGY_ERROR,
    Density,
    Phase,
    check_step_size,
    energy,
    leapfrog,
    log_ratio,
)
from gen_inflib.iteration import iterate
from gen_inflib.marginalised import view_of
from gen_inflib.metrics import IDENTITY, Metric
from gen_inflib.moved import moved

R = TypeVar("R")


class HamiltonianInfo(NamedTuple):
    """What happened in one transition of Hamiltonian Monte Carlo."""

    accepted: Tensor
    """Whether the chain moved, a boolean of shape `()`."""
    log_acceptance_ratio: Tensor
    """The energy lost along the trajectory, shape `()`; -inf where the energy at its end is undefined."""
    acceptance_probability: Tensor
    """min(1, exp(log_acceptance_ratio)), shape `()`."""
    energy: Tensor
    """The Hamiltonian at the state that the transition ends in, with its momentum, shape `()`."""
    diverging: Tensor
    """Whether the energy grew by more than 1000 or is undefined, shape `()`: the step size is too large."""
    step_size: Tensor
    """The one that was used, shape `()`."""


def hmc(
    trace: Trace[R],
    selection: Selection,
    *,
    step_size: float | Tensor,
    num_leapfrogs: int,
    metric: Metric = IDENTITY,
    enumerate: Selection = NONE,
) -> tuple[Trace[R], HamiltonianInfo]:
    """Take one transition that leaves the distribution proportional to exp(score) as it is.

    A momentum p ~ N(0, M) is drawn, and the leapfrog follows H(q, p) = -log density(q) + p^T M^-1 p / 2 on
    the real line (see `Unconstrained`); the end of the trajectory is accepted with probability
    min(1, exp(H(start) - H(end))).

    Args:
        trace: The current trace.
        selection: The choices to move, all continuous.
        step_size: The time of one leapfrog step, positive.
        num_leapfrogs: How many, at least 1. One gradient each, and one to begin with.
        metric: The mass matrix M.
        enumerate: Finite choices to sum over while the others move; they are drawn given the others after.

    Returns:
        The new trace, or the old one where the end was rejected, and what happened.

    Raises:
        StepSizeError: `step_size` is not positive.
        ImpossibleStartError: The trace has no finite log density.
        NoPositionError: A selected choice is discrete, or none is selected.
        MetricError: The metric is for another number of choices.

    Source: Duane, Kennedy, Pendleton and Roweth, Physics Letters B 195 (1987); Neal, MCMC using
    Hamiltonian dynamics (2011).
    """
    check_step_size(step_size)
    check_count("num_leapfrogs", num_leapfrogs)
    view = view_of(trace, selection, enumerate)
    metric.check(view.size)
    position, (log_density, gradient) = view.start()
    momentum = metric.momentum(normal.sample(torch.zeros_like(position), 1.0))
    before = Phase(position, momentum, log_density, gradient)
    after = trajectory(view.scored, metric, before, step_size, num_leapfrogs)
    chance = uniform.sample(log_density.new_zeros(()), 1.0)
    info = decide(metric, before, after, chance, step_size)
    return moved(view, info.accepted, after.position), info


def trajectory(
    density: Density, metric: Metric, phase: Phase, step_size: float | Tensor, num_leapfrogs: int
) -> Phase:
    """Return where so many leapfrog steps lead."""
    return iterate(num_leapfrogs, lambda now: leapfrog(density, metric, now, step_size), phase)


def decide(
    metric: Metric, before: Phase, after: Phase, chance: Tensor, step_size: float | Tensor
) -> HamiltonianInfo:
    """Return whether a trajectory's end is accepted, given a number drawn between 0 and 1."""
    old, new = energy(metric, before), energy(metric, after)
    ratio = log_ratio(old, new)
    probability = ratio.clamp(max=0.0).exp()
    accepted = chance < probability
    return HamiltonianInfo(
        accepted,
        ratio,
        probability,
        torch.where(accepted, new, old),
        ratio < -MAX_ENERGY_ERROR,
        torch.as_tensor(step_size, dtype=ratio.dtype, device=ratio.device),
    )
