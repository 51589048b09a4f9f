"""Hamiltonian Monte Carlo: the integrator, the metric, acceptance, and its three ways to run."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import ALL, Distribution, Trace, TraceBatch, batch, drawing, select
from gen_core.draw import draw_sample
from gen_distributions import bernoulli, categorical, gamma, normal, uniform
from gen_dml import gen
from gen_inflib import (
    IDENTITY,
    CountError,
    EnumerationError,
    Metric,
    MetricError,
    NoPositionError,
    Phase,
    StepSizeError,
    Unconstrained,
    dense_metric,
    diagonal_metric,
    hmc,
    leapfrog,
    mcmc,
    run_chain,
)
from gen_inflib.integrators import energy
from gen_inflib.unconstrained import Scored
from gen_torch import jit

COVARIANCE = torch.tensor([[0.5, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 1.0]])
METRICS: dict[str, Metric] = {
    "identity": IDENTITY,
    "diagonal": diagonal_metric(COVARIANCE.diagonal()),
    "dense": dense_metric(COVARIANCE),
}


@gen
def model() -> Tensor:
    scale = gamma(3.0, 2.0) @ "scale"
    x = normal(torch.zeros(2), 1.0 + scale) @ "x"
    return normal(x.sum(), 0.5) @ "y"


LATENT = select("scale", "x")


@pytest.fixture
def trace() -> Trace[Tensor]:
    torch.manual_seed(0)
    return model.generate({"y": 1.0}).trace


def in_float64(metric: Metric) -> Metric:
    if metric is IDENTITY:
        return metric
    inverse_mass: Tensor = metric.inverse_mass.double()  # type: ignore[attr-defined]
    return diagonal_metric(inverse_mass) if inverse_mass.dim() == 1 else dense_metric(inverse_mass)


def quartic(position: Tensor) -> Scored:
    """A density that is not Gaussian, in float64."""
    log_density = -(position.square().sum() ** 2) / 4 - (position[0] * position[1]) / 3
    gradient = -position.square().sum() * position
    gradient = gradient - torch.stack([position[1], position[0], torch.zeros(())]).double() / 3
    return Scored(log_density, gradient)


def phase(position: Tensor, momentum: Tensor) -> Phase:
    return Phase(position, momentum, *quartic(position))


START = phase(torch.tensor([0.3, -0.8, 0.5]).double(), torch.tensor([1.0, 0.2, -0.7]).double())


def walk(metric: Metric, start: Phase, step_size: float, num_leapfrogs: int) -> Phase:
    for _ in range(num_leapfrogs):
        start = leapfrog(quartic, metric, start, step_size)
    return start


@pytest.mark.parametrize("name", METRICS)
def test_the_leapfrog_is_reversible(name: str) -> None:
    metric = in_float64(METRICS[name])

    there = walk(metric, START, 0.1, 20)
    back = walk(metric, there._replace(momentum=-there.momentum), 0.1, 20)

    torch.testing.assert_close(back.position, START.position)
    torch.testing.assert_close(-back.momentum, START.momentum)
    torch.testing.assert_close(walk(metric, there, -0.1, 20).position, START.position)


@pytest.mark.parametrize("name", METRICS)
def test_the_leapfrog_preserves_volume(name: str) -> None:
    metric = in_float64(METRICS[name])

    def flow(point: Tensor) -> Tensor:
        there = walk(metric, phase(point[:3], point[3:]), 0.15, 5)
        return torch.cat([there.position, there.momentum])

    matrix: Any = torch.autograd.functional.jacobian(flow, torch.cat([START.position, START.momentum]))
    assert float(torch.linalg.det(matrix)) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("name", METRICS)
def test_the_error_of_energy_is_of_second_order(name: str) -> None:
    metric = in_float64(METRICS[name])

    errors = [
        float(energy(metric, walk(metric, START, 0.4 / num, num)) - energy(metric, START))
        for num in (8, 16, 32)
    ]

    # Halving the step divides the error by four, up to terms of higher order.
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("name", METRICS)
def test_the_leapfrog_follows_the_equations_of_motion(name: str) -> None:
    metric = in_float64(METRICS[name])
    step = 1e-4

    moved = leapfrog(quartic, metric, START, step)

    inverse_mass = {
        "identity": torch.eye(3).double(),
        "diagonal": torch.diag(COVARIANCE.diagonal()).double(),
        "dense": COVARIANCE.double(),
    }[name]
    velocity = inverse_mass @ START.momentum
    torch.testing.assert_close((moved.position - START.position) / step, velocity, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close((moved.momentum - START.momentum) / step, START.gradient, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", METRICS)
def test_momenta_have_the_mass_as_covariance(name: str) -> None:
    metric = in_float64(METRICS[name])

    factor = torch.stack([metric.momentum(row) for row in torch.eye(3).double()], 1)

    velocity = torch.stack([metric.velocity(row) for row in torch.eye(3).double()], 1)
    torch.testing.assert_close(factor @ factor.mT @ velocity, torch.eye(3).double())


def test_the_ratio_is_the_energy_that_is_lost(trace: Trace[Tensor]) -> None:
    metric = dense_metric(COVARIANCE)
    view = Unconstrained(trace, LATENT)
    torch.manual_seed(7)
    momentum = metric.momentum(normal.sample(torch.zeros(3), 1.0))
    position, (log_density, gradient) = view.start()
    before = log_density - 0.5 * momentum @ COVARIANCE @ momentum

    for _ in range(3):
        momentum = momentum + 0.05 * gradient
        position = position + 0.1 * COVARIANCE @ momentum
        log_density, gradient = view.scored(position)
        momentum = momentum + 0.05 * gradient

    torch.manual_seed(7)
    new, info = hmc(trace, LATENT, step_size=0.1, num_leapfrogs=3, metric=metric)
    after = log_density - 0.5 * momentum @ COVARIANCE @ momentum
    torch.testing.assert_close(info.log_acceptance_ratio, after - before, rtol=1e-4, atol=1e-5)
    assert info.accepted
    torch.testing.assert_close(Unconstrained(new, LATENT).position, position)
    assert float(info.energy) == pytest.approx(-float(after), rel=1e-5)


def test_a_transition_takes_one_gradient_a_leapfrog_and_one_to_begin_with(
    trace: Trace[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = Unconstrained.scored

    def counted(self: Unconstrained[Any], position: Tensor) -> Scored:
        calls.append(position)
        return original(self, position)

    monkeypatch.setattr(Unconstrained, "scored", counted)
    hmc(trace, LATENT, step_size=0.1, num_leapfrogs=5)

    assert len(calls) == 6


def test_a_rejected_end_leaves_the_very_trace(trace: Trace[Tensor]) -> None:
    with drawing(unlikely):
        new, info = hmc(trace, LATENT, step_size=0.9, num_leapfrogs=10)

    assert info.log_acceptance_ratio < 0
    assert not info.accepted
    assert new is trace


def unlikely(distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
    """Draw 1, which accepts nothing, where a uniform number is asked for."""
    value = draw_sample(distribution, args, kwargs)
    return torch.ones_like(value) if distribution == uniform else value


def test_what_is_not_selected_stays(trace: Trace[Tensor]) -> None:
    new, info = hmc(trace, select("x"), step_size=0.01, num_leapfrogs=3)

    assert info.accepted
    assert new["scale"] is trace["scale"]
    assert new["y"] is trace["y"]
    assert not torch.equal(new["x"], trace["x"])


def test_a_step_that_is_far_too_large_diverges_and_is_rejected(trace: Trace[Tensor]) -> None:
    new, info = hmc(trace, LATENT, step_size=1e4, num_leapfrogs=3)

    assert info.diverging
    assert info.acceptance_probability == 0.0
    assert new is trace


def test_an_undefined_energy_diverges_and_is_rejected() -> None:
    @gen
    def narrow() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(0.0, x) @ "y"

    trace = narrow.generate({"x": 0.05, "y": 0.0}).trace
    torch.manual_seed(0)
    kernel = partial(hmc, selection=select("x"), step_size=50.0, num_leapfrogs=1)

    infos = [kernel(trace)[1] for _ in range(10)]

    assert any(info.log_acceptance_ratio == -math.inf for info in infos)
    assert all(info.diverging and not info.accepted for info in infos)


def test_a_step_keeps_no_gradients() -> None:
    @gen
    def shifted(loc: Tensor) -> None:
        normal(loc, 1.0) @ "x"

    trace = shifted.simulate(torch.zeros((), requires_grad=True))
    new, info = hmc(trace, ALL, step_size=0.1, num_leapfrogs=2)

    assert not info.log_acceptance_ratio.requires_grad
    assert not new["x"].requires_grad


def test_staged_and_eager_transitions_agree(trace: Trace[Tensor]) -> None:
    kernel = partial(hmc, selection=LATENT, step_size=0.2, num_leapfrogs=4, metric=dense_metric(COVARIANCE))
    staged = jit(kernel, backend="graph")

    for seed in range(3):
        torch.manual_seed(seed)
        expected, info = kernel(trace)
        torch.manual_seed(seed)
        found, other = staged(trace)
        torch.testing.assert_close(found["x"], expected["x"])
        torch.testing.assert_close(found.score, expected.score)
        torch.testing.assert_close(other.log_acceptance_ratio, info.log_acceptance_ratio)
        assert bool(other.accepted) == bool(info.accepted)


@pytest.mark.parametrize("name", METRICS)
def test_chains_in_a_batch_have_the_posterior_as_law(name: str) -> None:
    @gen
    def pair() -> None:
        x = gamma(3.0, 1.0) @ "x"
        z = uniform(0.0, x) @ "z"
        normal(x - z, 1.0) @ "w"

    metric = METRICS[name]
    if metric is not IDENTITY:
        metric = diagonal_metric(torch.tensor([0.3, 2.0, 1.0]))
    if name == "dense":
        metric = dense_metric(COVARIANCE)
    torch.manual_seed(1)
    traces = batch(pair.simulate, size=400)()
    kernel = batch(partial(hmc, selection=ALL, step_size=0.3, num_leapfrogs=3, metric=metric))

    # The chains start from the law that they have to keep.
    info: Any = None
    for _ in range(15):
        traces, info = kernel(traces)

    assert 0.6 < float(info.accepted.double().mean()) < 1.0
    choices = traces.choices
    for address, mean, second in [("x", 3.0, 12.0), ("z", 1.5, 4.0), ("w", 1.5, 5.0)]:
        for values, expected in [(choices[address], mean), (choices[address] ** 2, second)]:
            error = values.std() / math.sqrt(len(values))
            assert abs(float(values.mean()) - expected) < 4 * error


@gen
def mixture(branches: bool) -> None:
    which = bernoulli(0.3) @ "which"
    if branches:
        loc = normal(2.0 if which else -1.0, 1.0) @ "loc"
    else:
        loc = normal(torch.where(which, 2.0, -1.0), 1.0) @ "loc"
    normal(loc, 1.0) @ "y"


@pytest.mark.parametrize("branches", [False, True])
def test_finite_choices_can_be_summed_over(branches: bool) -> None:
    trace = mixture.generate({"y": 1.0}, branches).trace
    torch.manual_seed(0)

    kernel = partial(hmc, selection=select("loc"), step_size=0.8, num_leapfrogs=3, enumerate=select("which"))
    chain = run_chain(trace, kernel, num_samples=600, num_warmup=20)

    values = torch.tensor([[float(t["which"]), float(t["loc"])] for t in chain.traces])
    means = values.reshape(30, 20, 2).mean(1)
    weights = [p * math.exp(-((1.0 - loc) ** 2) / 4) for p, loc in [(0.7, -1.0), (0.3, 2.0)]]
    upper = weights[1] / sum(weights)
    expected = torch.tensor([upper, (1 - upper) * 0.0 + upper * 1.5])
    assert ((means.mean(0) - expected).abs() < 4 * means.std(0) / math.sqrt(30)).all()


def test_the_density_with_choices_summed_over_is_the_sum() -> None:
    from gen_inflib.marginalised import Marginalised

    @gen
    def two() -> None:
        a = categorical([0.2, 0.3, 0.5]) @ "a"
        b = bernoulli(torch.tensor([0.1, 0.6])) @ "b"
        x = gamma(2.0, 1.0) @ "x"
        normal(a + b.sum() - x, 1.0) @ "y"

    trace = two.generate({"y": 1.0}).trace
    view = Marginalised(trace, select("x"), select("a", "b"))

    scores = [
        two.assess({"a": a, "b": [b, c], "x": trace["x"], "y": 1.0}).score
        for a in range(3)
        for b in (False, True)
        for c in (False, True)
    ]
    expected = torch.stack(scores).logsumexp(0) + trace["x"].log()
    torch.testing.assert_close(view.log_density(view.position), expected, rtol=1e-5, atol=1e-5)


def test_what_cannot_be_summed_over_is_refused() -> None:
    @gen
    def many() -> None:
        normal(0.0, 1.0) @ "x"
        for i in range(13):
            bernoulli(0.5) @ ("bits", i)

    trace = many.simulate()
    options: Any = {"step_size": 0.1, "num_leapfrogs": 1}

    with pytest.raises(EnumerationError, match=r"8192 combinations \(\('bits', 0\) 2, .*, \.\.\.\), more"):
        hmc(trace, select("x"), enumerate=select("bits"), **options)
    with pytest.raises(EnumerationError, match="choice at 'x' of many, from normal, has no finite support"):
        hmc(trace, select("bits"), enumerate=select("x"), **options)


@pytest.mark.parametrize("step_size", [0.0, -0.1, math.inf, math.nan])
def test_a_step_size_that_is_not_positive_is_refused(trace: Trace[Tensor], step_size: float) -> None:
    with pytest.raises(StepSizeError, match="Expected `step_size` to be a positive number, but got"):
        hmc(trace, LATENT, step_size=step_size, num_leapfrogs=1)


def test_no_leapfrogs_are_refused(trace: Trace[Tensor]) -> None:
    with pytest.raises(CountError, match="Expected `num_leapfrogs` to be an integer of at least 1"):
        hmc(trace, LATENT, step_size=0.1, num_leapfrogs=0)


def test_a_metric_for_other_choices_is_refused(trace: Trace[Tensor]) -> None:
    with pytest.raises(MetricError, match=r"Expected an inverse mass of shape \(3,\).*but got shape \(2,\)"):
        hmc(trace, LATENT, step_size=0.1, num_leapfrogs=1, metric=diagonal_metric(torch.ones(2)))


@pytest.mark.parametrize("bad", [torch.tensor([1.0, -1.0]), torch.ones(2, 2)])
def test_an_inverse_mass_that_is_not_positive_is_refused(bad: Tensor) -> None:
    with pytest.raises(MetricError, match="Expected the inverse mass of a diagonal metric to be"):
        diagonal_metric(bad)
    with pytest.raises(MetricError, match="Expected the inverse mass of a dense metric to be"):
        dense_metric(bad)


def test_a_discrete_choice_is_refused() -> None:
    with pytest.raises(NoPositionError, match="The choice at 'which', from bernoulli, of mixture"):
        hmc(mixture.simulate(True), ALL, step_size=0.1, num_leapfrogs=1)


def test_the_runner_runs_it_in_batches_and_compiled() -> None:
    kernel = partial(hmc, selection=LATENT, step_size=0.3, num_leapfrogs=3)
    runs = []
    for compile in (False, "graph"):
        torch.manual_seed(2)
        options: Any = {"num_chains": 2, "batched": True, "compile": compile}
        runs.append(mcmc(model(), {"y": 1.0}, kernel, num_samples=6, **options))

    for address in ("scale", "x"):
        torch.testing.assert_close(runs[0].draws[address], runs[1].draws[address])


def test_more_leapfrogs_than_stand_in_one_body_run_side_by_side() -> None:
    kernel = partial(hmc, selection=LATENT, step_size=0.05, num_leapfrogs=26)
    torch.manual_seed(0)

    chains = mcmc(model(), {"y": 1.0}, kernel, num_samples=3, num_chains=2, batched=True)

    assert chains.statistics["accepted"].shape == (2, 3)
    torch.testing.assert_close(chains.last[0]["x"], chains.draws["x"][0, -1])


@gen
def mixed_supports(depends: bool) -> None:
    """Choices on several supports; the bound of one of them is another, if `depends`."""
    rate = gamma(2.0, 1.0) @ "rate"
    share = uniform(0.0, rate if depends else 1.0) @ "share"
    levels = normal(torch.zeros(2), 1.0) @ "levels"
    is_noisy = bernoulli(0.5) @ "is_noisy"
    normal(levels * share, torch.where(is_noisy, 2.0, rate)) @ "ys"


@pytest.mark.parametrize("depends", [False, True])
@pytest.mark.parametrize("num_chains", [1, 3])
def test_what_is_noted_of_a_draw_is_what_the_model_says_of_it(depends: bool, num_chains: int) -> None:
    kernel = partial(hmc, selection=select("rate", "share", "levels"), step_size=0.2, num_leapfrogs=3)

    chains = mcmc(
        mixed_supports(depends),
        {"ys": torch.tensor([0.5, -1.0])},
        kernel,
        num_samples=6,
        num_chains=num_chains,
        compile="graph",
        progress=False,
    )

    for chain, draw in itertools.product(range(num_chains), range(6)):
        trace = chains.trace(chain, draw)
        torch.testing.assert_close(chains.statistics["log_density"][chain, draw], trace.score)
    assert chains.draws["levels"].shape == (num_chains, 6, 2)
    assert chains.draws["is_noisy"].shape == (num_chains, 6)
    assert isinstance(chains.last, TraceBatch)
    torch.testing.assert_close(chains.last.score, chains.statistics["log_density"][:, -1])
