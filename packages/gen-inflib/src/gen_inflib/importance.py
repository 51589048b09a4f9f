"""Importance sampling: traces that agree with the observations, each with a weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor

from gen_core import Call, Choices, Trace, choicemap
from gen_distributions import uniform
from gen_inflib.counts import check_count
from gen_inflib.errors import ImpossibleObservationsError
from gen_inflib.particle import draw_particle

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


def importance_sampling(
    model: Call[R],
    observations: Choices,
    *,
    num_particles: int,
    proposal: Call[Any] | None = None,
) -> Weighted[R]:
    """Approximate the posterior by weighted traces.

    Each particle is generated under the observations and the choices of a run of `proposal`, and weighs

        log w = log p(t, r; x) - log q(t; u, x) - log q(r; x, t) - log q_proposal(proposed choices),

    where u are the observations and the proposed choices. Without a proposal, and for what it leaves
    open, choices come from the model's internal proposal, which is the prior in the modelling languages.

    Args:
        model: A generative function with its arguments.
        observations: Values of the observed choices, by address.
        num_particles: How many traces to draw.
        proposal: A generative function with its arguments, whose choices have the model's addresses and
            may be any of those that are not observed.

    Returns:
        The traces with normalised weights, and an estimate of the log marginal likelihood.

    Raises:
        UnvisitedConstraintsError: The model never visited an address that is observed or proposed.
        AddressCollisionError: The proposal proposes what is observed.
        ImpossibleObservationsError: Every particle has probability zero.
        UndefinedWeightError: The weight of a particle is NaN or +inf.

    Source: Owen, Monte Carlo theory, methods and examples (2013), chapter 9.
    """
    check_count("num_particles", num_particles)
    given = choicemap(observations)
    particles = [draw_particle(model, given, proposal) for _ in range(num_particles)]
    log_weights = torch.stack([particle.weight for particle in particles])
    log_total = log_weights.logsumexp(0)
    if log_total == -math.inf:
        raise ImpossibleObservationsError(model.gen_fn.name, num_particles)
    return Weighted(
        traces=tuple(particle.trace for particle in particles),
        log_weights=log_weights - log_total,
        log_marginal_likelihood=log_total - math.log(num_particles),
    )


@final
@dataclass(frozen=True, slots=True)
class Weighted(Generic[R_co]):
    """Traces with weights: an approximation of a posterior."""

    traces: tuple[Trace[R_co], ...]
    log_weights: Tensor
    """Normalised, so that their exponentials sum to 1; shape `(num_particles,)`, in nats."""
    log_marginal_likelihood: Tensor
    """An estimate of log p(observations), shape `()`, in nats; its exponential is unbiased."""

    @property
    def effective_sample_size(self) -> Tensor:
        """One over the sum of the squared weights, shape `()`: between 1 and the number of traces."""
        return (-(2 * self.log_weights).logsumexp(0)).exp()

    def expectation(self, function: Callable[[Trace[R_co]], Tensor | float]) -> Tensor:
        """Return the weighted mean of `function` over the traces, in the weights' dtype.

        Args:
            function: Maps a trace to a number or a tensor; all of one shape.

        Returns:
            The shape that `function` returns.
        """
        values = [torch.as_tensor(function(trace)).to(self.log_weights) for trace in self.traces]
        mean: Tensor = torch.tensordot(self.log_weights.exp(), torch.stack(values), 1)
        return mean

    def sample(self, num_samples: int) -> tuple[Trace[R_co], ...]:
        """Draw traces in proportion to their weights, independently and with replacement."""
        check_count("num_samples", num_samples)
        cumulative = self.log_weights.detach().exp().cumsum(0)
        points = uniform.sample(cumulative.new_zeros(num_samples), cumulative[-1])
        # Rounding must not carry a point past the last trace that has any weight.
        last = int(torch.searchsorted(cumulative, cumulative[-1]))
        indices = torch.searchsorted(cumulative, points, right=True).clamp(max=last)
        return tuple(self.traces[index] for index in indices.tolist())
