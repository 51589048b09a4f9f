"""Warm-up: dual averaging, windows, metrics; and adaptive kernels batched, staged and resumed."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import batch, select
from gen_distributions import bernoulli, gamma, normal, uniform
from gen_dml import gen
from gen_inflib import (
    ALL_LATENT,
    IDENTITY,
    Chains,
    TargetAcceptanceError,
    Unconstrained,
    UnknownLatentsError,
    adaptive_hmc,
    adaptive_nuts,
    cycle,
    gibbs,
    leapfrog,
    mcmc,
    nuts,
)
from gen_inflib.dual_averaging import dual_averaging
from gen_inflib.integrators import Phase, energy
from gen_inflib.latent import latents
from gen_inflib.metrics import DenseMetric
from gen_inflib.running_covariance import running_covariance
from gen_inflib.step_size import find_step_size
from gen_inflib.warmup_windows import warmup_windows


@gen
def model() -> Tensor:
    x = gamma(3.0, 1.0) @ "x"
    y = uniform(0.0, x) @ "y"
    return normal(y, 1.0) @ "o"


OBSERVED = {"o": 1.0}
KERNELS: dict[str, Any] = {
    "nuts": adaptive_nuts(max_tree_depth=5),
    "nuts, dense": adaptive_nuts(metric="dense", max_tree_depth=5),
    "hmc": adaptive_hmc(num_leapfrogs=4),
    "hmc, identity": adaptive_hmc(num_leapfrogs=4, metric="identity"),
}


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Any:
    return KERNELS[request.param]


def posterior_mean() -> tuple[float, float]:
    """Return the means of x and y, by quadrature."""
    x = torch.linspace(1e-3, 25.0, 4000, dtype=torch.float64).unsqueeze(1)
    share = torch.linspace(0.0, 1.0, 401, dtype=torch.float64)
    log_density = torch.distributions.Gamma(3.0, 1.0).log_prob(x) - 0.5 * (1.0 - x * share) ** 2
    weights = log_density.exp() / log_density.exp().sum()
    return float((weights * x).sum()), float((weights * x * share).sum())


def test_dual_averaging_follows_its_formulas() -> None:
    search = dual_averaging(torch.tensor(0.5, dtype=torch.float64))
    error, average = 0.0, math.log(0.5)

    for count, acceptance in enumerate([0.3, 0.9, 1.0, 0.2], start=1):
        search = search.update(torch.tensor(acceptance, dtype=torch.float64), 0.8)
        error = (1 - 1 / (count + 10)) * error + (0.8 - acceptance) / (count + 10)
        log_step = math.log(10 * 0.5) - math.sqrt(count) / 0.05 * error
        average = count**-0.75 * log_step + (1 - count**-0.75) * average
        assert float(search.log_step) == pytest.approx(log_step)
        assert float(search.log_average) == pytest.approx(average)


def test_dual_averaging_reaches_the_target() -> None:
    search = dual_averaging(torch.tensor(5.0, dtype=torch.float64))

    for _ in range(400):
        # A transition that is accepted less often the larger its step.
        search = search.update(torch.exp(-search.log_step.exp()), 0.7)

    assert float(search.log_average.exp()) == pytest.approx(-math.log(0.7), rel=0.05)


@pytest.mark.parametrize(
    ("num_warmup", "lasts"),
    [
        (1000, [99, 149, 249, 449, 949]),
        (500, [99, 149, 249, 449]),
        (150, [99]),
        (100, [89]),
        (20, [17]),
        (19, []),
        (0, []),
    ],
)
def test_windows_double_and_the_last_takes_what_is_left(num_warmup: int, lasts: list[int]) -> None:
    windows = warmup_windows(num_warmup)

    assert windows.lasts() == lasts
    steps = range(num_warmup + 5)
    assert [step for step in steps if windows.is_last_of_window(step)] == lasts
    assert [step for step in steps if windows.is_last_of_window(torch.tensor(step))] == lasts
    slow = [step for step in steps if windows.is_slow(step)]
    assert slow == [step for step in steps if windows.is_slow(torch.tensor(step))]
    assert slow == list(range(windows.begin, windows.end))


@pytest.mark.parametrize("dense", [False, True])
def test_moments_that_run_are_those_of_all(dense: bool) -> None:
    positions = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    moments = running_covariance(positions[0], dense=dense)
    for part in positions.split([1, 1, 7, 31]):
        moments = moments.add(part)

    covariance = torch.cov(positions.mT)
    expected = covariance if dense else covariance.diagonal()
    prior = torch.eye(3).double() if dense else torch.ones(3).double()
    torch.testing.assert_close(moments.regularised(), 40 / 45 * expected + 5 / 45 * 1e-3 * prior)


@pytest.mark.parametrize("first", [1e-4, 1.0, 100.0])
def test_the_first_step_is_where_acceptance_crosses_four_fifths(first: float) -> None:
    @gen
    def scaled() -> None:
        normal(torch.zeros(20), 0.01) @ "x"

    torch.manual_seed(0)
    view = Unconstrained(scaled.simulate(), select("x"))
    position, here = view.start()

    step_size = find_step_size(view.scored, IDENTITY, position, here, first)

    # The scale of the target is 0.01: steps of that order are accepted sometimes.
    assert 0.001 < float(step_size) < 0.03
    phase = Phase(position, torch.randn(20), *here)
    moved = leapfrog(view.scored, IDENTITY, phase, float(step_size) / 8)
    assert abs(float(energy(IDENTITY, moved) - energy(IDENTITY, phase))) < 0.3


def test_chains_agree_with_the_posterior(kernel: Any) -> None:
    torch.manual_seed(0)

    chains = mcmc(model(), OBSERVED, kernel, num_samples=20, num_warmup=30, num_chains=24)

    assert chains.why_looped is None
    for address, mean in zip(("x", "y"), posterior_mean(), strict=True):
        means = chains.draws[address].mean(1)
        # Chains are independent.
        assert abs(float(means.mean()) - mean) < 4 * float(means.std()) / math.sqrt(24)


def test_staged_chains_are_those_of_a_batch(kernel: Any) -> None:
    runs = run_both(kernel, num_chains=2)

    for address in ("x", "y"):
        torch.testing.assert_close(runs[0].draws[address], runs[1].draws[address], rtol=1e-3, atol=1e-4)
    assert runs[0].statistics.keys() == runs[1].statistics.keys()


def test_one_staged_chain_is_that_of_a_batch_of_one() -> None:
    runs = run_both(KERNELS["nuts"], num_chains=1)

    torch.testing.assert_close(runs[0].draws["x"], runs[1].draws["x"], rtol=1e-3, atol=1e-4)


def run_both(kernel: Any, *, num_chains: int) -> list[Chains[Any]]:
    runs = []
    for compile in (False, "graph"):
        torch.manual_seed(4)
        options: Any = {"num_chains": num_chains, "batched": True, "compile": compile}
        runs.append(mcmc(model(), OBSERVED, kernel, num_samples=5, num_warmup=4, **options))
    return runs


def test_chains_one_after_another_learn_too() -> None:
    torch.manual_seed(0)

    chains = mcmc(model(), OBSERVED, adaptive_nuts(), num_samples=20, num_warmup=40, num_chains=1)

    assert 0.05 < float(chains.statistics["step_size"][0, -1]) < 3.0
    assert float(chains.kernel_state[0].metric.inverse_mass[0]) != 1.0


def test_after_warm_up_nothing_is_learned(kernel: Any) -> None:
    torch.manual_seed(0)

    chains = mcmc(model(), OBSERVED, kernel, num_samples=5, num_warmup=25, num_chains=2)

    steps = chains.statistics["step_size"]
    assert (steps == steps[:, :1]).all()
    again = mcmc(model(), OBSERVED, kernel, num_samples=2, init=chains)
    assert torch.equal(again.statistics["step_size"], steps[:, :2])


def test_the_acceptance_probability_follows_the_target() -> None:
    @gen
    def scaled() -> None:
        normal(torch.zeros(5), torch.logspace(-1, 1, 5)) @ "x"

    found = []
    for target in (0.6, 0.95):
        torch.manual_seed(0)
        kernel = adaptive_hmc(num_leapfrogs=4, target_acceptance=target)
        chains = mcmc(scaled(), {}, kernel, num_samples=30, num_warmup=100, num_chains=8)
        found.append(float(chains.statistics["acceptance_probability"].mean()))

    assert found[0] + 0.05 < found[1]
    assert found[1] > 0.85


def test_metrics_learn_scales_and_correlations() -> None:
    @gen
    def correlated() -> None:
        x = normal(0.0, 3.0) @ "x"
        normal(x, 0.5) @ "y"

    torch.manual_seed(0)

    chains = mcmc(
        correlated(), {}, adaptive_nuts(metric="dense"), num_samples=2, num_warmup=110, num_chains=8
    )

    metric = chains.kernel_state.metric
    assert isinstance(metric, DenseMetric)
    expected = torch.tensor([[9.0, 9.0], [9.0, 9.25]])
    # Each chain's estimate is from some tens of effective draws; the mean of eight is better.
    torch.testing.assert_close(metric.inverse_mass.mean(0), expected, rtol=0.5, atol=0.0)
    identity = torch.eye(2).expand(8, 2, 2)
    product = metric.factor @ metric.factor.mT @ metric.inverse_mass
    torch.testing.assert_close(product, identity, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["nuts", "hmc"])
def test_a_run_that_is_resumed_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    def run(path: Path, num_samples: int) -> Chains[Any]:
        return mcmc(
            model(),
            OBSERVED,
            KERNELS[name],
            num_samples=num_samples,
            num_warmup=22,
            num_chains=2,
            checkpoint=path,
            checkpoint_every=10,
        )

    torch.manual_seed(5)
    whole = run(tmp_path / "whole", 18)
    torch.manual_seed(5)
    run(tmp_path / "parts", 8)
    torch.manual_seed(99)
    resumed = run(tmp_path / "parts", 18)

    assert torch.equal(resumed.draws["x"], whole.draws["x"])


def test_finite_choices_are_summed_over_in_all_chains() -> None:
    @gen
    def mixture() -> None:
        which = bernoulli(0.3) @ "which"
        loc = normal(torch.where(which, 2.0, -1.0), 1.0) @ "loc"
        normal(loc, 1.0) @ "y"

    torch.manual_seed(0)
    kernel = adaptive_nuts(enumerate=select("which"))

    chains = mcmc(mixture(), {"y": 1.0}, kernel, num_samples=25, num_warmup=30, num_chains=24)

    weights = [p * math.exp(-((1.0 - loc) ** 2) / 4) for p, loc in [(0.7, -1.0), (0.3, 2.0)]]
    upper = weights[1] / sum(weights)
    for address, mean in [("which", upper), ("loc", upper * 1.5)]:
        means = chains.draws[address].double().mean(1)
        assert abs(float(means.mean()) - mean) < 4 * float(means.std()) / math.sqrt(24)


def test_adaptive_kernels_compose_with_others() -> None:
    @gen
    def mixture() -> None:
        which = bernoulli(0.3) @ "which"
        normal(torch.where(which, 2.0, -1.0), 1.0) @ "loc"

    torch.manual_seed(0)
    kernel = cycle(adaptive_hmc(select("loc"), num_leapfrogs=3), partial(gibbs, selection=select("which")))

    chains = mcmc(mixture(), {}, kernel, num_samples=40, num_warmup=30, num_chains=24)

    means = chains.draws["which"].double().mean(1)
    assert abs(float(means.mean()) - 0.3) < 4 * float(means.std()) / math.sqrt(24)


def test_all_latent_is_what_is_not_observed() -> None:
    trace = model.generate(OBSERVED).trace

    with latents(~select("o")):
        assert Unconstrained(trace, ALL_LATENT).size == 2
        assert Unconstrained(trace, ALL_LATENT - select("y")).size == 1
    with pytest.raises(UnknownLatentsError, match="ALL_LATENT means every choice that is not observed"):
        nuts(trace, ALL_LATENT, step_size=0.1)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.2])
def test_a_target_that_is_no_probability_is_refused(target: float) -> None:
    with pytest.raises(TargetAcceptanceError, match="Expected `target_acceptance` to be between 0 and 1"):
        adaptive_nuts(target_acceptance=target)


def test_the_first_tuning_of_a_batch_is_one_for_each() -> None:
    torch.manual_seed(0)
    traces = batch(lambda: model.generate(OBSERVED).trace, size=3)()

    with latents(~select("o")):
        tuning = batch(adaptive_nuts().initial)(traces)

    assert tuning.step_size.shape == (3,)
    assert tuning.metric.inverse_mass.shape == (3, 2)
