"""Importance sampling and resampling: weights, memory, and what is refused."""

from __future__ import annotations

import gc
import importlib
import math
import sys
import weakref
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from gen_core import (
    AddressCollisionError,
    Distribution,
    MissingPackageError,
    NotBatchableError,
    UnvisitedConstraintsError,
    drawing,
    param,
)
from gen_core.draw import draw_sample
from gen_distributions import TensorFamily, bernoulli, normal, uniform
from gen_dml import gen
from gen_inflib import (
    CountError,
    ImpossibleObservationsError,
    OptionsError,
    UndefinedWeightError,
    Weighted,
    importance_resampling,
    importance_sampling,
)

ALGORITHMS = [importance_sampling, importance_resampling]
# The package has the function by the name of the module.
importance_resampling_module = importlib.import_module("gen_inflib.importance_resampling")


@gen
def model() -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    normal(x, 1.0) @ "y"
    return x


@gen
def guess(loc: float = 1.0) -> None:
    normal(loc, 0.5) @ "x"


def test_without_a_proposal_a_weight_is_the_density_of_the_observations() -> None:
    weighted = importance_sampling(model(), {"y": 2.0}, num_particles=5)

    expected = torch.stack([normal.log_prob(torch.tensor(2.0), trace["x"], 1.0) for trace in weighted.traces])
    torch.testing.assert_close(weighted.log_weights, (expected - expected.logsumexp(0)).double())
    log_marginal_likelihood = expected.logsumexp(0) - math.log(5)
    torch.testing.assert_close(weighted.log_marginal_likelihood, log_marginal_likelihood.double())


def test_with_a_proposal_a_weight_is_the_score_less_the_density_of_what_was_proposed() -> None:
    weighted = importance_sampling(model(), {"y": 2.0}, num_particles=5, proposal=guess(0.5))

    expected = torch.stack([t.score - normal.log_prob(t["x"], 0.5, 0.5) for t in weighted.traces])
    torch.testing.assert_close(weighted.log_weights, expected - expected.logsumexp(0))


def test_a_proposal_of_the_exact_posterior_makes_all_weights_equal() -> None:
    @gen
    def posterior() -> None:
        normal(1.0, math.sqrt(0.5)) @ "x"

    weighted = importance_sampling(model(), {"y": 2.0}, num_particles=10, proposal=posterior())

    assert float(weighted.effective_sample_size) == pytest.approx(10)
    exact = float(normal.log_prob(torch.tensor(2.0), 0.0, math.sqrt(2)))
    assert float(weighted.log_marginal_likelihood) == pytest.approx(exact, rel=1e-5)


def test_a_distribution_alone_is_a_model() -> None:
    weighted = importance_sampling(normal(0.0, 1.0), {(): 0.5}, num_particles=3)

    exact = float(normal.log_prob(torch.tensor(0.5), 0.0, 1.0))
    assert float(weighted.log_marginal_likelihood) == pytest.approx(exact)
    assert float(weighted.expectation(lambda trace: trace.retval)) == pytest.approx(0.5)


def test_particles_that_cannot_produce_the_observations_have_weight_zero() -> None:
    torch.manual_seed(0)

    weighted = importance_sampling(half_impossible(), {"y": 0.2}, num_particles=50)

    possible = [bool(trace["flag"]) for trace in weighted.traces]
    assert 0 < sum(possible) < 50
    assert [weight > -math.inf for weight in weighted.log_weights.tolist()] == possible
    assert all(trace["flag"] for trace in weighted.sample(100))
    assert weighted.expectation(lambda trace: float(trace["flag"])) == pytest.approx(1.0)


@gen
def half_impossible() -> None:
    flag = bernoulli(0.5) @ "flag"
    uniform(0.0 if flag else 1.0, 2.0) @ "y"


def test_weighted_traces_print_what_they_are() -> None:
    torch.manual_seed(0)

    weighted = importance_sampling(model(), {"y": 2.0}, num_particles=9)

    evidence, size = float(weighted.log_marginal_likelihood), float(weighted.effective_sample_size)
    expected = f"<9 weighted traces of model: log evidence {evidence:.6g}, effective sample size {size:.3g}>"
    assert repr(weighted) == expected


def test_sample_draws_traces_in_proportion_to_their_weights() -> None:
    torch.manual_seed(0)
    traces = tuple(model.simulate() for _ in range(3))
    probs = torch.tensor([0.2, 0.0, 0.8], dtype=torch.float64)
    weighted = Weighted(traces, probs.log(), torch.tensor(0.0))

    drawn = weighted.sample(2000)

    # Four standard errors of a frequency.
    frequency = sum(trace is traces[0] for trace in drawn) / 2000
    assert abs(frequency - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 2000)
    assert not any(trace is traces[1] for trace in drawn)


def test_sample_never_draws_past_the_end_or_a_last_trace_without_weight() -> None:
    traces = tuple(model.simulate() for _ in range(3))
    probs = torch.tensor([0.4, 0.6, 0.0], dtype=torch.float64)
    weighted = Weighted(traces, probs.log(), torch.tensor(0.0))

    def largest(distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: object) -> Tensor:
        low, high = args
        end: Tensor = low + high * (1 - 2**-53)  # the largest that is drawn from [0, 1)
        return end

    with drawing(largest):
        drawn = weighted.sample(3)

    assert traces[2] not in drawn


def test_the_evidence_is_differentiable_in_parameters_of_the_model() -> None:
    @gen
    def trainable() -> None:
        normal(param("loc", 0.5), 1.0) @ "y"

    weighted = importance_sampling(trainable(), {"y": 2.0}, num_particles=3)
    (gradient,) = torch.autograd.grad(weighted.log_marginal_likelihood, list(trainable.params.values()))

    assert float(gradient) == pytest.approx(1.5)


def test_importance_resampling_holds_one_trace_in_memory() -> None:
    seen: list[weakref.ref[Tensor]] = []
    most_alive = 0

    def watch(distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        nonlocal most_alive
        value = draw_sample(distribution, args, kwargs)
        if distribution == normal:
            seen.append(weakref.ref(value))
            most_alive = max(most_alive, sum(ref() is not None for ref in seen))
        return value

    gc.collect()
    with drawing(watch):
        importance_resampling(model(), {"y": 2.0}, num_particles=50, batched=False)

    # The one that is kept, the one before, which the loop still names, and the one being drawn.
    assert len(seen) == 50
    assert most_alive <= 3


@pytest.mark.parametrize("options", [{}, {"batched": False}, {"compile": True}])
def test_importance_resampling_keeps_a_trace_of_any_crowd_in_proportion_to_its_weight(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    @gen
    def toss() -> None:
        heads = bernoulli(0.5) @ "heads"
        normal(torch.where(heads, 0.0, 1.0), 1.0) @ "y"

    # Two crowds of three particles and one of two.
    monkeypatch.setattr(importance_resampling_module, "MOST_AT_ONCE", 3)
    torch.manual_seed(4)

    runs = [importance_resampling(toss(), {"y": 0.0}, num_particles=8, **options) for _ in range(300)]

    # With k heads of 8, the kept trace has heads with probability k / (k + (8 - k) exp(-1/2)).
    ratio = math.exp(-0.5)
    share = sum(math.comb(8, k) / 2**8 * k / (k + (8 - k) * ratio) for k in range(9))
    found = sum(float(run.trace["heads"]) for run in runs) / len(runs)
    assert abs(found - share) < 4 * math.sqrt(share * (1 - share) / len(runs))
    densities = torch.stack([run.log_marginal_likelihood for run in runs]).exp()
    exact = (0.5 + 0.5 * ratio) / math.sqrt(2 * math.pi)
    assert abs(densities.mean() - exact) < 4 * densities.std() / math.sqrt(len(runs))


def test_importance_resampling_of_a_model_that_does_not_batch_runs_in_a_loop() -> None:
    @gen
    def branches() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(1.0 if x > 0 else -1.0, 1.0) @ "y"

    assert importance_resampling(branches(), {"y": 2.0}, num_particles=4).trace["y"] == 2.0
    with pytest.raises(NotBatchableError, match="branches"):
        importance_resampling(branches(), {"y": 2.0}, num_particles=4, batched=True)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_compiling_what_must_not_be_a_batch_is_refused(algorithm: Any) -> None:
    with pytest.raises(OptionsError, match="leave out batched=False"):
        algorithm(model(), {"y": 2.0}, num_particles=4, compile=True, batched=False)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_gives_the_same_answer(algorithm: Any) -> None:
    answers = []
    for _ in range(2):
        torch.manual_seed(3)
        answers.append(float(algorithm(model(), {"y": 2.0}, num_particles=4).log_marginal_likelihood))

    assert answers[0] == answers[1]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("num_particles", [0, -1, 2.5, "many"])
def test_a_number_of_particles_that_is_none_is_refused(algorithm: Any, num_particles: Any) -> None:
    with pytest.raises(CountError, match=f"Expected `num_particles` .* but got {num_particles!r}"):
        algorithm(model(), {"y": 2.0}, num_particles=num_particles)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_observation_that_the_model_does_not_make_is_refused(algorithm: Any) -> None:
    with pytest.raises(UnvisitedConstraintsError, match="never visited 'z'"):
        algorithm(model(), {"z": 2.0}, num_particles=2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_proposed_address_that_the_model_does_not_have_is_refused(algorithm: Any) -> None:
    @gen
    def wrong() -> None:
        normal(0.0, 1.0) @ "xx"

    with pytest.raises(UnvisitedConstraintsError, match="never visited 'xx'"):
        algorithm(model(), {"y": 2.0}, num_particles=2, proposal=wrong())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_proposal_of_what_is_observed_is_refused(algorithm: Any) -> None:
    with pytest.raises(AddressCollisionError, match="two values at 'x'") as caught:
        algorithm(model(), {"x": 2.0}, num_particles=2, proposal=guess())

    assert caught.value.__notes__ == ["One is observed, the other a choice of the proposal guess."]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_impossible_observations_are_reported(algorithm: Any) -> None:
    with pytest.raises(
        ImpossibleObservationsError, match="All 7 particles of half_impossible have weight -inf"
    ):
        algorithm(half_impossible(), {"y": 5.0}, num_particles=7)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_weight_that_is_no_number_is_reported_with_what_it_is_made_of(algorithm: Any, bad: float) -> None:
    @gen
    def odd() -> None:
        of_density(bad) @ "y"

    with pytest.raises(
        UndefinedWeightError, match=f"weight of a particle of odd is {bad}, made of: (generate|particle)"
    ):
        algorithm(odd(), {"y": 0.0}, num_particles=2)


def test_compiling_without_gen_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gen_torch", None)

    with pytest.raises(
        MissingPackageError, match=r"importance_sampling\(compile=True\) needs the package gen-torch"
    ):
        importance_sampling(model(), {"y": 1.0}, num_particles=3, compile=True)


@dataclass(frozen=True)
class OfDensity(TensorFamily):
    """The log density of any value is the parameter."""

    name = "of_density"
    arg_constraints = dict[str, Constraint]()

    def sample(self, log_density: float) -> Tensor:
        return torch.zeros(())

    def log_prob(self, value: Tensor, /, log_density: float) -> Tensor:
        return torch.full(value.shape, log_density)


of_density = Distribution(OfDensity())
