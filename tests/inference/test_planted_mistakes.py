"""Planted mistakes are noticed: each makes a check fail that passes without it.

A Jacobian with the wrong sign, a weight halved, a resampling that forgets its evidence, and what other
systems got wrong. The table at the end says which test stands against each of the latter.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from agreement import check_chains, check_runs, check_weighted
from gen_core import select
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_inflib import (
    IDENTITY,
    InvolutionError,
    Phase,
    Unconstrained,
    annealed_smc,
    diagonal_metric,
    importance_resampling,
    importance_sampling,
    involution_of,
    involutive_metropolis_hastings,
    laplace,
    mala,
    particle_filter,
    rejuvenate_and_reweight,
    sequence_filter,
    stratified_start,
)
from gen_inflib.integrators import energy
from gen_inflib.unconstrained import Scored
from known_answers import PROBLEMS

pytestmark = pytest.mark.unverified

TESTS = Path(__file__).parents[1]


def module(name: str) -> Any:
    """Return a module of gen-inflib; the package has functions by the names of some."""
    return importlib.import_module(f"gen_inflib.{name}")


# Checks, each of which passes.


def check_importance() -> None:
    problem = PROBLEMS["normal"]
    weighted = importance_sampling(
        problem.model, problem.observations, num_particles=1000, proposal=problem.proposal
    )
    check_weighted(weighted, problem)


def check_one_by_one() -> None:
    problem = PROBLEMS["normal"]
    weighted = importance_sampling(
        problem.model, problem.observations, num_particles=200, proposal=problem.proposal, batched=False
    )
    check_weighted(weighted, problem)


def check_resampled() -> None:
    problem = PROBLEMS["normal"]
    runs = [importance_resampling(problem.model, problem.observations, num_particles=50) for _ in range(100)]
    values = torch.stack([run.trace["mean"].double() for run in runs])
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


def check_filter() -> None:
    problem = PROBLEMS["state_space"]
    assert problem.steps is not None
    observed: Any = problem.observations
    steps = [(problem.steps(t + 1), {(t, "y"): observed[t, "y"]}) for t in range(3)]
    runs = [particle_filter(steps, num_particles=100, threshold=None) for _ in range(20)]
    values = torch.stack([run.expectation(problem.statistic) for run in runs]).double()
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


def check_guided_steps() -> None:
    """Extend by a proposal, and move back and forth without rejecting."""
    problem = PROBLEMS["normal"]
    runs = []
    for _ in range(20):
        particles = importance_sampling(problem.model, {}, num_particles=100)

        @gen
        def towards(trace: Any) -> None:
            normal(0.5 * trace["mean"] + 0.5, 2.0) @ "mean"

        moved = rejuvenate_and_reweight(particles, towards)
        runs.append(moved)
    values = torch.stack([run.expectation(lambda trace: trace["mean"]) for run in runs]).double()
    # Nothing is observed: the mean is 1, and the evidence 1.
    assert abs(values.mean() - 1.0) < 4 * values.std() / math.sqrt(20)
    ratios = torch.stack([run.log_marginal_likelihood for run in runs]).exp()
    assert abs(ratios.mean() - 1.0) < 4 * ratios.std() / math.sqrt(20)


def check_sequence_filter() -> None:
    problem = PROBLEMS["state_space"]
    runs = [
        sequence_filter(problem.model, problem.observations, num_particles=100, threshold=None).particles()
        for _ in range(20)
    ]
    values = torch.stack([run.expectation(problem.statistic) for run in runs]).double()
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


def check_guided_filter() -> None:
    problem = PROBLEMS["state_space"]
    runs = [
        sequence_filter(
            problem.model, problem.observations, num_particles=100, proposal=problem.step_proposal
        ).particles()
        for _ in range(20)
    ]
    values = torch.stack([run.expectation(problem.statistic) for run in runs]).double()
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


def check_annealing() -> None:
    problem = PROBLEMS["normal"]
    runs = [
        annealed_smc(
            problem.model,
            problem.observations,
            problem.kernels["selection"],
            num_particles=50,
            powers=[0.2, 0.6, 1.0],
            threshold=1.0,
        )
        for _ in range(20)
    ]
    values = torch.stack([run.expectation(problem.statistic) for run in runs]).double()
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


def check_strata() -> None:
    @gen
    def toss() -> None:
        heads = bernoulli(0.1) @ "heads"
        normal(torch.where(heads, 3.0, 0.0), 1.0) @ "y"

    found = stratified_start(toss(), {"y": 2.0}, num_particles=3, strata=[{"heads": False}, {"heads": True}])
    densities = [0.9 * math.exp(-2.0), 0.1 * math.exp(-0.5)]
    exact = math.log(sum(densities) / math.sqrt(2 * math.pi))
    assert abs(float(found.log_marginal_likelihood) - exact) < 1e-5


def check_real_line() -> None:
    """The density on the real line integrates to the evidence."""
    problem = PROBLEMS["beta"]
    view = Unconstrained(problem.model.generate(problem.observations).trace, select("chance"))
    at = torch.arange(-15.0, 15.0, 0.05)
    densities = torch.stack([view.log_density(position.reshape(1)) for position in at])
    assert abs(float(densities.logsumexp(0)) + math.log(0.05) - problem.log_evidence) < 1e-3


def check_laplace() -> None:
    problem = PROBLEMS["state_space"]
    found = laplace(problem.model, problem.observations)
    assert abs(float(found.log_marginal_likelihood) - problem.log_evidence) < 1e-3


def check_involution() -> None:
    """Applied twice, an involution leads back, and so does its Jacobian."""
    stretch = involution_of(
        lambda ours, theirs: (
            {"mean": ours["mean"] * theirs["factor"].exp()},
            {"factor": -theirs["factor"]},
        ),
        select("mean"),
    )
    problem = PROBLEMS["normal"]
    trace = problem.model.generate(problem.observations).trace

    @gen
    def factor(trace: Any) -> None:
        normal(0.0, 0.7) @ "factor"

    kernel = partial(involutive_metropolis_hastings, proposal=factor, involution=stretch)
    for _ in range(5):
        _, info = kernel(trace, check=True)
        assert not info.is_nan
    choices = factor.simulate(trace).choices
    new, _, weight = stretch(trace, choices, None)
    assert abs(float(weight - (new.score - trace.score)) - float(choices["factor"])) < 1e-4


def check_energy() -> None:
    """The leapfrog's error of energy falls by four where the step is halved, with a metric too."""

    def density(position: Tensor) -> Scored:
        return Scored(
            -0.5 * (position * position * torch.tensor([1.0, 4.0])).sum(),
            -position * torch.tensor([1.0, 4.0]),
        )

    integrate = module("integrators").leapfrog
    for metric in (IDENTITY, diagonal_metric(torch.tensor([1.5, 0.3]))):
        errors = []
        for halvings in range(2):
            position = torch.tensor([1.0, -0.5]).double()
            phase = Phase(position, torch.tensor([0.3, 0.8]).double(), *density(position))
            start = energy(metric, phase)
            for _ in range(10 * 2**halvings):
                phase = integrate(density, metric, phase, 0.1 / 2**halvings)
            errors.append(float((energy(metric, phase) - start).abs()))
        assert 3.5 < errors[0] / errors[1] < 4.5


def chains_of(name: str, kernel: str) -> Callable[[], None]:
    return lambda: check_chains(PROBLEMS[name], PROBLEMS[name].kernels[kernel])


CHECKS: dict[str, Callable[[], None]] = {
    "importance": check_importance,
    "one by one": check_one_by_one,
    "resampled": check_resampled,
    "filter": check_filter,
    "guided steps": check_guided_steps,
    "sequence filter": check_sequence_filter,
    "guided filter": check_guided_filter,
    "annealing": check_annealing,
    "strata": check_strata,
    "real line": check_real_line,
    "laplace": check_laplace,
    "involution": check_involution,
    "energy": check_energy,
    "selection": chains_of("normal", "selection"),
    "proposal": chains_of("normal", "custom proposal"),
    "walk": chains_of("beta", "random walk"),
    "slice": chains_of("normal", "slice"),
    "ellipse": chains_of("normal", "elliptical slice"),
    "involutive": chains_of("normal", "involution"),
    "gibbs": chains_of("hidden_markov", "gibbs"),
    "hmc": chains_of("beta", "hmc"),
    # So long a step that many are rejected.
    "mala": lambda: check_chains(PROBLEMS["normal"], partial(mala, selection=select("mean"), step_size=1.5)),
    "nuts": chains_of("beta", "nuts"),
    "particle gibbs": chains_of("hidden_markov", "particle gibbs"),
}


# Mistakes: what is put in the place of what, and the check that must notice.


@dataclass(frozen=True)
class Mistake:
    """A function that another stands in for."""

    owner: Callable[[], Any]
    name: str
    wrong: Callable[[Any], Any]
    """Makes the mistaken function of the right one."""
    check: str


def halved(right: Any) -> Any:
    """Halve a result: a number, or the second of two."""

    def wrong(*args: Any, **kwargs: Any) -> Any:
        result = right(*args, **kwargs)
        if isinstance(result, Tensor):
            return result / 2
        halves = result[0], result[1] / 2, *result[2:]
        return halves if type(result) is tuple else type(result)(*halves)

    return wrong


def ratio_halved(right: Any) -> Any:
    return lambda log_ratio, proposed, trace: right(log_ratio / 2, proposed, trace)


def negated(right: Any) -> Any:
    return lambda *args, **kwargs: -right(*args, **kwargs)


def forgets_evidence(right: Any) -> Any:
    def wrong(*args: Any, ancestors: Any = None, **kwargs: Any) -> Any:
        if ancestors is not None:
            kwargs["log_evidence"] = 0.0
        return right(*args, ancestors=ancestors, **kwargs)

    return wrong


def forgets_evidence_of_steps(right: Any) -> Any:
    def wrong(model: Any, settings: Any, state: Any, step: Any, row: Any) -> Any:
        forgotten = state._replace(log_evidence=torch.zeros_like(state.log_evidence))
        return right(model, settings, forgotten, step, row)

    return wrong


def adds_the_proposal(right: Any) -> Any:
    """The mistake of a trace translator that adds the forward proposal's score."""

    def wrong(*args: Any) -> Any:
        choices, score = right(*args)
        return choices, -score

    return wrong


def forgets_the_prior(right: Any) -> Any:
    """The mistake of an elliptical slice whose weight has the prior in it."""

    def wrong(ellipse: Any, angle: Tensor) -> Tensor:
        moved = ellipse.trace_at(angle)
        ratio: Tensor = moved.score - ellipse.trace.score
        return ratio

    return wrong


def without_metric(right: Any) -> Any:
    """The mistake of a position step that leaves M^-1 out."""

    def wrong(density: Any, metric: Any, phase: Phase, step_size: Any) -> Phase:
        halfway = phase.momentum + 0.5 * step_size * phase.gradient
        position = phase.position + step_size * halfway
        log_density, gradient = density(position)
        return Phase(position, halfway + 0.5 * step_size * gradient, log_density, gradient)

    return wrong


def with_stale_gradient(right: Any) -> Any:
    """The mistake of a second half step by the gradient of the first."""

    def wrong(density: Any, metric: Any, phase: Phase, step_size: Any) -> Phase:
        halfway = phase.momentum + 0.5 * step_size * phase.gradient
        position = phase.position + step_size * metric.velocity(halfway)
        log_density, gradient = density(position)
        return Phase(position, halfway + 0.5 * step_size * phase.gradient, log_density, gradient)

    return wrong


def first_density(right: Any) -> Any:
    """Look for points of a slice above half the level."""
    return lambda like: right(like) / 2


def even_weights(right: Any) -> Any:
    return lambda log_weights, *args: right(torch.zeros_like(log_weights), *args)


def without_shares(right: Any) -> Any:
    return SimpleNamespace(log=lambda ratio: 0.0)


MISTAKES: dict[str, Mistake] = {
    # Jacobians of the wrong sign.
    "jacobian, on the real line": Mistake(
        lambda: module("unconstrained")._Site, "log_jacobian", negated, "real line"
    ),
    "jacobian, random walk": Mistake(lambda: module("unconstrained")._Site, "log_jacobian", negated, "walk"),
    "jacobian, hmc": Mistake(lambda: module("unconstrained")._Site, "log_jacobian", negated, "hmc"),
    "jacobian, nuts": Mistake(lambda: module("unconstrained")._Site, "log_jacobian", negated, "nuts"),
    "jacobian, involution": Mistake(
        lambda: module("involution")._MapOfValues, "_log_abs_det", negated, "involution"
    ),
    "jacobian, involutive chain": Mistake(
        lambda: module("involution")._MapOfValues, "_log_abs_det", negated, "involutive"
    ),
    # Weights and ratios halved.
    "half a weight, importance": Mistake(lambda: module("importance"), "draw_particle", halved, "importance"),
    "half a weight, one by one": Mistake(lambda: module("importance"), "draw_particle", halved, "one by one"),
    "half a weight, resampled": Mistake(
        lambda: module("importance_resampling"), "draw_particle", halved, "resampled"
    ),
    "half a weight, filter": Mistake(lambda: module("sequential"), "move_crowd", halved, "filter"),
    "half a weight, sequence": Mistake(lambda: module("sequence_filter"), "_draw", halved, "sequence filter"),
    "half a weight, annealing": Mistake(lambda: module("annealed"), "_likelihoods", halved, "annealing"),
    "half a ratio, selection": Mistake(
        lambda: module("metropolis_hastings"), "accept_or_stay", ratio_halved, "selection"
    ),
    "half a ratio, proposal": Mistake(
        lambda: module("metropolis_hastings"), "accept_or_stay", ratio_halved, "proposal"
    ),
    "half a ratio, walk": Mistake(lambda: module("random_walk"), "accept_or_stay", ratio_halved, "walk"),
    "half a ratio, involution": Mistake(
        lambda: module("involution"), "accept_or_stay", ratio_halved, "involutive"
    ),
    "half a ratio, mala": Mistake(lambda: module("hmc"), "log_ratio", halved, "mala"),
    "half a score, gibbs": Mistake(lambda: module("gibbs"), "_scored", halved, "gibbs"),
    "half a level, slice": Mistake(lambda: module("slice"), "log_uniform", first_density, "slice"),
    "half a level, ellipse": Mistake(
        lambda: module("elliptical_slice"), "log_uniform", first_density, "ellipse"
    ),
    "even weights, particle gibbs": Mistake(
        lambda: module("particle_gibbs"), "multinomial", even_weights, "particle gibbs"
    ),
    "half a hessian, laplace": Mistake(lambda: module("laplace"), "hessian", halved, "laplace"),
    "unequal shares, strata": Mistake(lambda: module("stratified_start"), "math", without_shares, "strata"),
    # Evidence lost at resampling.
    "no evidence, filter": Mistake(lambda: module("sequential"), "weighted", forgets_evidence, "filter"),
    "no evidence, annealing": Mistake(
        lambda: module("sequential"), "weighted", forgets_evidence, "annealing"
    ),
    "no evidence, sequence": Mistake(
        lambda: module("sequence_filter"), "_next", forgets_evidence_of_steps, "sequence filter"
    ),
    # What other systems got wrong.
    "the forward score added": Mistake(
        lambda: module("sequential"), "_proposed", adds_the_proposal, "guided steps"
    ),
    "an ellipse that counts the prior": Mistake(
        lambda: module("elliptical_slice")._Ellipse, "log_likelihood_ratio", forgets_the_prior, "ellipse"
    ),
    "a position step without the metric": Mistake(
        lambda: module("integrators"), "leapfrog", without_metric, "energy"
    ),
    "a stale gradient": Mistake(lambda: module("integrators"), "leapfrog", with_stale_gradient, "energy"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_right_passes_its_check(name: str) -> None:
    torch.manual_seed(1)

    CHECKS[name]()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake = MISTAKES[name]
    owner = mistake.owner()
    monkeypatch.setattr(owner, mistake.name, mistake.wrong(getattr(owner, mistake.name)))
    torch.manual_seed(1)

    assert fails(CHECKS[mistake.check])


def fails(check: Callable[[], None]) -> bool:
    try:
        check()
    except (AssertionError, InvolutionError):
        return True
    return False


# The mistakes of other systems, and what stands against each.
STANDS_AGAINST = {
    "a trace translator that adds the forward score": (
        "inference/test_sequential.py",
        "test_extending_with_a_proposal_takes_its_density_off",
    ),
    "an elliptical slice whose weight has the prior in it": (
        "inference/test_kernels.py",
        "test_an_elliptical_slice_uses_the_likelihood_and_not_the_prior",
    ),
    "a position step without the inverse mass": (
        "inference/test_hmc.py",
        "test_the_leapfrog_follows_the_equations_of_motion",
    ),
    "an assess that samples what is missing": (
        "gen_dml/test_language.py",
        "test_assess_refuses_a_missing_choice_and_an_extra_one",
    ),
    "a switch that ignores shared addresses, or counts them twice": (
        "gen_combinators/test_switch.py",
        "test_update_to_another_branch_keeps_shared_choices_and_draws_new_ones",
    ),
    "recording only the last module called": (
        "gen_torch/test_names.py",
        "test_every_module_ever_called_is_there_with_a_suffix_where_names_meet",
    ),
    "parameters of callees that get no gradient": (
        "gen_torch/test_training.py",
        "test_gradients_reach_every_parameter_through_callees",
    ),
    "a handler left installed after an exception": (
        "gen_dml/test_language.py",
        "test_an_exception_carries_the_address_path_and_the_line_and_leaves_no_handler",
    ),
    "a stale gradient in the leapfrog": (
        "inference/test_hmc.py",
        "test_the_error_of_energy_is_of_second_order",
    ),
    "a particle filter that loses the evidence at resampling": (
        "inference/test_sequential.py",
        "test_resampling_keeps_the_evidence_and_makes_weights_equal",
    ),
    "systematic resampling past the end in float32": (
        "inference/test_resampling.py",
        "test_a_million_float32_weights_are_resampled_inside_their_range",
    ),
}


@pytest.mark.parametrize("mistake", STANDS_AGAINST)
def test_a_mistake_of_another_system_has_a_test(mistake: str) -> None:
    file, test = STANDS_AGAINST[mistake]

    assert f"def {test}(" in (TESTS / file).read_text(encoding="utf-8")
