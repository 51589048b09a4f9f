"""Integrators of Hamilton's equations: reversible, and with volume preserved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import torch
from torch import Tensor

from gen_core.readable import values_are_readable
from gen_inflib.metrics import Metric
from gen_inflib.position_errors import StepSizeError
from gen_inflib.unconstrained import Scored

Density: TypeAlias = "Callable[[Tensor], Scored]"
"""A log density with its gradient, such as `Unconstrained.scored`."""

MAX_ENERGY_ERROR: Final = 1000.0
"""A trajectory whose energy grows by more has diverged: Betancourt (2017), section 6.2."""


class Phase(NamedTuple):
    """A point of phase space, with what was computed there: the gradient is never stale."""

    position: Tensor
    """Shape `(n,)`."""
    momentum: Tensor
    """Shape `(n,)`."""
    log_density: Tensor
    """At the position, shape `()`."""
    gradient: Tensor
    """Of the log density at the position, shape `(n,)`."""


def leapfrog(density: Density, metric: Metric, phase: Phase, step_size: Tensor | float) -> Phase:
    """Take one step of the leapfrog, with one gradient; a negative step goes back.

        p' = p + step/2 grad(q),    q' = q + step M^-1 p',    p'' = p' + step/2 grad(q').

    Its error of energy is of the order step^2 over a trajectory of fixed length.
    """
    halfway = phase.momentum + 0.5 * step_size * phase.gradient
    position = phase.position + step_size * metric.velocity(halfway)
    log_density, gradient = density(position)
    return Phase(position, halfway + 0.5 * step_size * gradient, log_density, gradient)


def energy(metric: Metric, phase: Phase) -> Tensor:
    """Return the Hamiltonian -log density + p^T M^-1 p / 2, shape `()`, in the log density's dtype."""
    return kinetic_energy(metric, phase.momentum).to(phase.log_density.dtype) - phase.log_density


def kinetic_energy(metric: Metric, momentum: Tensor) -> Tensor:
    """Return p^T M^-1 p / 2, shape `()`."""
    return 0.5 * (momentum * metric.velocity(momentum)).sum()


def log_ratio(before: Tensor, after: Tensor) -> Tensor:
    """Return the log of the ratio of densities in phase space, from energies; -inf where it is undefined.

    The energy is NaN only where the trajectory has left every place that the model speaks of.
    """
    difference = before - after
    return torch.where(difference.isnan(), -math.inf, difference)


def check_step_size(step_size: object) -> None:
    """Raise StepSizeError unless it is a number that is positive and finite, where that can be read."""
    if isinstance(step_size, Tensor):
        if step_size.dim() or (values_are_readable() and not 0 < float(step_size) < math.inf):
            raise StepSizeError(step_size)
    elif not isinstance(step_size, float | int) or not 0 < step_size < math.inf:
        raise StepSizeError(step_size)
