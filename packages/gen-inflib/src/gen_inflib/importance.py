"""Importance sampling: traces that agree with the observations, each with a weight."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from gen_core import Call, ChoiceMap, Choices, GenerativeFunction, batch, choicemap
from gen_inflib.calls import check_call
from gen_inflib.compiling import compiled
from gen_inflib.counts import check_count
from gen_inflib.errors import OptionsError
from gen_inflib.particle import draw_particle
from gen_inflib.particles import Crowd, draw_crowd
from gen_inflib.weighted import Weighted, weighted

R = TypeVar("R")


def importance_sampling(
    model: Call[R],
    observations: Choices,
    *,
    num_particles: int,
    proposal: Call[Any] | None = None,
    batched: bool | None = None,
    compile: bool = False,
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
        batched: Whether to draw all particles at once; by default, where model and proposal allow it.
        compile: Whether to compile the batch, through gen-torch; the program is kept for the next call.

    Returns:
        The traces with normalised weights, and an estimate of the log marginal likelihood.

    Raises:
        ModelError: `model` is no call of a generative function.
        UnvisitedConstraintsError: The model never visited an address that is observed or proposed.
        AddressCollisionError: The proposal proposes what is observed.
        ImpossibleObservationsError: Every particle has probability zero.
        UndefinedWeightError: The weight of a particle is NaN or +inf.
        NotBatchableError: `batched` or `compile` was asked for, and the model does not allow it.
        OptionsError: Both compile=True and batched=False were given.

    Source: Owen, Monte Carlo theory, methods and examples (2013), chapter 9.
    """
    check_call(model)
    check_count("num_particles", num_particles)
    check_options(compile, batched)
    given = choicemap(observations)
    if compile:
        crowd = draw_compiled(model, given, proposal, num_particles)
    else:
        crowd = draw_crowd(lambda: draw_particle(model, given, proposal), num_particles, batched)
    return weighted(crowd.traces, crowd.log_weights, why_looped=crowd.why_looped)


def check_options(compile: bool, batched: bool | None) -> None:
    """Raise OptionsError if particles are to be compiled, and not to be in a batch."""
    if compile and batched is False:
        raise OptionsError("compile=True draws the particles in a batch: leave out batched=False.")


def draw_compiled(
    model: Call[Any], observations: ChoiceMap, proposal: Call[Any] | None, num_particles: int
) -> Crowd:
    """Return so many particles, drawn by a compiled program that is kept for the next call."""
    guide = proposal.gen_fn if proposal is not None else None
    program = _program(model.gen_fn, guide, num_particles)
    guide_args = (proposal.args, dict(proposal.kwargs)) if proposal is not None else None
    return Crowd(*program((model.args, dict(model.kwargs)), observations, guide_args))


@lru_cache(maxsize=64)
def _program(
    model: GenerativeFunction[..., Any], guide: GenerativeFunction[..., Any] | None, num_particles: int
) -> Any:
    def draw(model_args: Any, observations: ChoiceMap, guide_args: Any) -> Any:
        call = Call(model, *model_args)
        proposal = None if guide is None else Call(guide, *guide_args)
        return batch(lambda: draw_particle(call, observations, proposal), size=num_particles)()

    return compiled(draw, "importance_sampling(compile=True)")
