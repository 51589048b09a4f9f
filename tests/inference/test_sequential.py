"""Sequential Monte Carlo: weights by hand, evidence, and what is refused."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import Map, Unfold
from gen_core import ANY, NONE, Call, NotBatchableError, Trace, choicemap, select
from gen_core.testing import check_laws
from gen_distributions import bernoulli, categorical, normal
from gen_dml import gen
from gen_inflib import (
    CountError,
    DiscardError,
    Filtered,
    HistoryNotKeptError,
    ImpossibleObservationsError,
    ImpossibleStepError,
    OptionsError,
    PowersError,
    Resampler,
    SequenceError,
    StrataError,
    Tempered,
    VaryingStepsError,
    Weighted,
    annealed_smc,
    extend,
    importance_sampling,
    mcmc,
    metropolis_hastings,
    multinomial,
    particle_filter,
    particle_gibbs,
    rejuvenate,
    rejuvenate_and_reweight,
    resample,
    residual,
    run_chain,
    sequence_filter,
    stratified,
    stratified_start,
    systematic,
)
from gen_torch import jit

RHO, NOISE = 0.9, 0.5
YS = [0.3, -0.8, 1.9, 0.4, -0.2, 1.1]


@gen
def linear(num_steps: int) -> Tensor | float:
    """A linear-Gaussian state space model."""
    z: Tensor | float = 0.0
    for t in range(num_steps):
        z = normal(RHO * z, 1.0) @ ("z", t)
        normal(z, NOISE) @ ("y", t)
    return z


@gen
def linear_step(t: int, z: Tensor) -> Tensor:
    z = normal(RHO * z, 1.0) @ "z"
    normal(z, NOISE) @ "y"
    return z


@gen
def guide(trace: Trace[Any]) -> None:
    """The exact conditional of the next state."""
    t = trace.args[0]
    precision = 1 + 1 / NOISE**2
    loc = (RHO * trace[("z", t - 1)] + YS[t] / NOISE**2) / precision
    normal(loc, precision**-0.5) @ ("z", t)


@gen
def step_guide(t: int, z: Tensor, y: Tensor) -> None:
    precision = 1 + 1 / NOISE**2
    normal((RHO * z + y / NOISE**2) / precision, precision**-0.5) @ "z"


def kalman() -> tuple[float, float, float]:
    """Return the log evidence, and the mean and variance of the last state."""
    mean, variance, log_evidence = 0.0, 0.0, 0.0
    for y in YS:
        mean, variance = RHO * mean, RHO**2 * variance + 1
        total = variance + NOISE**2
        log_evidence -= 0.5 * (math.log(2 * math.pi * total) + (y - mean) ** 2 / total)
        gain = variance / total
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
    return log_evidence, mean, variance


LOG_EVIDENCE, MEAN, VARIANCE = kalman()
CHAIN = Unfold(linear_step)


def steps() -> list[tuple[Call[Any], dict[Any, float]]]:
    return [(linear(t), {("y", t - 1): y}) for t, y in enumerate(YS, 1)]


def sequence() -> Call[Any]:
    return CHAIN(len(YS), torch.tensor(0.0))


OBSERVED: dict[Any, float] = {(t, "y"): y for t, y in enumerate(YS)}

RUNS: dict[str, Callable[[int], Any]] = {
    "every step": lambda n: particle_filter(steps(), num_particles=n, threshold=None),
    "adaptive": lambda n: particle_filter(steps(), num_particles=n),
    "never": lambda n: particle_filter(steps(), num_particles=n, threshold=0.0),
    "guided": lambda n: particle_filter(steps(), num_particles=n, proposal=guide),
    "rejuvenated": lambda n: particle_filter(
        steps(), num_particles=n, rejuvenation=partial(metropolis_hastings, proposal=select(("z", 0)))
    ),
    "one by one": lambda n: particle_filter(steps(), num_particles=n // 20, batched=False),
    "residual": lambda n: particle_filter(steps(), num_particles=n, method=residual, threshold=None),
    "stratified": lambda n: particle_filter(steps(), num_particles=n, method=stratified, threshold=None),
    "multinomial": lambda n: particle_filter(steps(), num_particles=n, method=multinomial, threshold=None),
    "sequence": lambda n: sequence_filter(sequence(), OBSERVED, num_particles=n).particles(),
    "sequence, guided": lambda n: sequence_filter(
        sequence(),
        OBSERVED,
        num_particles=n,
        proposal=lambda t, z: step_guide(t, z, torch.tensor(YS)[t]),
    ).particles(),
    "annealed": lambda n: annealed_smc(
        linear(len(YS)),
        {("y", t): y for t, y in enumerate(YS)},
        partial(metropolis_hastings, proposal=select(("z", ANY))),
        num_particles=n // 4,
    ),
}


@pytest.mark.parametrize("run", RUNS)
def test_the_evidence_and_the_last_state_agree_with_the_kalman_filter(run: str) -> None:
    torch.manual_seed(0)
    replicates = [RUNS[run](1000) for _ in range(12)]

    ratios = torch.stack([r.log_marginal_likelihood - LOG_EVIDENCE for r in replicates]).exp()
    means = torch.stack([r.expectation(last_state) for r in replicates])

    # The exponential of the evidence is unbiased; the mean has a bias of order 1 / num_particles.
    assert abs(float(ratios.mean() - 1)) < 4 * float(ratios.std()) / math.sqrt(12) + 1e-9
    assert abs(float(means.mean() - MEAN)) < 4 * float(means.std()) / math.sqrt(12) + 10 * VARIANCE / 1000


def last_state(trace: Trace[Any]) -> Tensor:
    last: Any = trace.retval
    return last if isinstance(last, Tensor) else last[-1]


def test_resampling_keeps_the_evidence_and_makes_weights_equal() -> None:
    torch.manual_seed(0)
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=50)

    resampled = resample(particles)

    assert torch.equal(resampled.log_marginal_likelihood, particles.log_marginal_likelihood)
    torch.testing.assert_close(resampled.log_weights, torch.full((50,), -math.log(50), dtype=torch.float64))
    assert resampled.ancestors is not None
    assert resampled.traces[7][("z", 0)] == particles.traces[int(resampled.ancestors[7])][("z", 0)]


def test_resampling_waits_until_the_effective_sample_size_has_fallen() -> None:
    torch.manual_seed(0)
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=50)
    share = float(particles.effective_sample_size) / 50

    assert resample(particles, threshold=share - 0.01) is particles
    assert resample(particles, threshold=share + 0.01).ancestors is not None


@pytest.mark.parametrize("method", [multinomial, residual, stratified, systematic], ids=repr)
def test_particles_can_be_resized_without_losing_evidence(method: Resampler) -> None:
    torch.manual_seed(0)
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=50)

    larger = resample(particles, num_particles=200, method=method)

    assert len(larger) == len(larger.traces) == 200
    assert torch.equal(larger.log_marginal_likelihood, particles.log_marginal_likelihood)


def test_priorities_decide_who_survives_and_weights_correct_for_it() -> None:
    torch.manual_seed(0)
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=4000)
    exact = RHO * 0 + 1.0 / (1 + NOISE**2)

    resampled = resample(particles, log_priorities=torch.zeros(4000))

    # Equal priorities leave the weights; the posterior mean is y / (1 + NOISE^2).
    error = math.sqrt(0.2 / float(resampled.effective_sample_size))
    assert abs(float(resampled.expectation(lambda trace: trace[("z", 0)])) - exact) < 4 * error
    ratio = (resampled.log_marginal_likelihood - particles.log_marginal_likelihood).exp()
    assert abs(float(ratio) - 1) < 4 / math.sqrt(float(particles.effective_sample_size))


def test_extending_adds_the_density_of_the_new_observation() -> None:
    torch.manual_seed(0)
    first = resample(importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=6))

    second = extend(first, linear(2), {("y", 1): 0.5})

    densities = torch.stack(
        [normal.log_prob(0.5, trace[("z", 1)], NOISE) for trace in second.traces]
    ).double()
    torch.testing.assert_close(second.log_weights, densities.log_softmax(0))
    grown = second.log_marginal_likelihood - first.log_marginal_likelihood
    torch.testing.assert_close(grown, densities.logsumexp(0) - math.log(6))


def test_extending_with_a_proposal_takes_its_density_off() -> None:
    torch.manual_seed(0)
    first = resample(importance_sampling(linear(1), {("y", 0): YS[0]}, num_particles=6))

    second = extend(first, linear(2), {("y", 1): YS[1]}, proposal=guide)

    # The guide is the exact conditional: the weight is the predictive density, whatever was proposed.
    scale = math.sqrt(1 + NOISE**2)
    before = [trace[("z", 0)] for trace in second.traces]
    predictive = torch.stack([normal.log_prob(YS[1], RHO * z, scale) for z in before]).double()
    torch.testing.assert_close(second.log_weights, predictive.log_softmax(0), atol=1e-5, rtol=1e-4)


def test_replacing_choices_needs_a_way_back() -> None:
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=3)

    with pytest.raises(DiscardError, match=r"replaced or removed the choices at \('y', 0\)"):
        extend(particles, linear(2), {("y", 0): 2.0})


def test_a_way_back_lets_a_proposal_replace_what_is_there() -> None:
    @gen
    def anew(trace: Trace[Any]) -> None:
        normal(0.5, 0.4) @ ("z", 0)

    torch.manual_seed(0)
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=4000)

    moved = extend(particles, linear(1), proposal=anew, backward=anew)

    ratio = float((moved.log_marginal_likelihood - particles.log_marginal_likelihood).exp())
    assert abs(ratio - 1) < 4 / math.sqrt(float(moved.effective_sample_size))
    error = math.sqrt(0.2 / float(moved.effective_sample_size))
    assert abs(float(moved.expectation(lambda trace: trace[("z", 0)])) - 0.8) < 4 * error


@pytest.mark.parametrize("times", [1, 3])
def test_rejuvenation_leaves_weights_and_posterior_as_they_are(times: int) -> None:
    torch.manual_seed(0)
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=4000)
    kernel = partial(metropolis_hastings, proposal=select(("z", 0)))

    moved = rejuvenate(particles, kernel, times=times)

    assert torch.equal(moved.log_weights, particles.log_weights)
    error = math.sqrt(0.2 / float(moved.effective_sample_size))
    assert abs(float(moved.expectation(lambda trace: trace[("z", 0)])) - 0.8) < 4 * error
    assert float((moved.traces[0].score - particles.traces[0].score).abs()) >= 0


@pytest.mark.parametrize("how", ["selection", "proposal"])
def test_reweighting_instead_of_rejecting_leaves_evidence_and_posterior_as_they_are(how: str) -> None:
    @gen
    def shift(trace: Trace[Any]) -> None:
        normal(trace[("z", 0)], 0.3) @ ("z", 0)

    torch.manual_seed(0)
    particles = importance_sampling(linear(1), {("y", 0): 1.0}, num_particles=4000)

    moved = rejuvenate_and_reweight(particles, select(("z", 0)) if how == "selection" else shift)

    ratio = float((moved.log_marginal_likelihood - particles.log_marginal_likelihood).exp())
    assert abs(ratio - 1) < 4 / math.sqrt(float(moved.effective_sample_size))
    error = math.sqrt(0.2 / float(moved.effective_sample_size))
    assert abs(float(moved.expectation(lambda trace: trace[("z", 0)])) - 0.8) < 4 * error


# Stratified initialisation.


@gen
def clusters() -> None:
    z = categorical([0.7, 0.2, 0.1]) @ "z"
    normal(torch.tensor([0.0, 3.0, 6.0])[z], 1.0) @ "x"


@pytest.mark.parametrize("num_particles", [3, 7, 50])
def test_strata_that_decide_everything_give_the_exact_evidence(num_particles: int) -> None:
    strata = [{"z": z} for z in range(3)]

    particles = stratified_start(clusters(), {"x": 4.0}, num_particles=num_particles, strata=strata)

    densities = [math.exp(-0.5 * (4 - loc) ** 2) / math.sqrt(2 * math.pi) for loc in (0, 3, 6)]
    joint = [p * d for p, d in zip((0.7, 0.2, 0.1), densities, strict=True)]
    assert float(particles.log_marginal_likelihood) == pytest.approx(math.log(sum(joint)), rel=1e-5)
    share = particles.expectation(lambda trace: trace["z"] == 1)
    assert float(share) == pytest.approx(joint[1] / sum(joint), rel=1e-5)


def test_strata_need_a_particle_each() -> None:
    with pytest.raises(StrataError, match="between 1 and num_particles=2 strata, but got 3"):
        stratified_start(clusters(), {"x": 4.0}, num_particles=2, strata=[{"z": z} for z in range(3)])


# Sequences.


def test_a_filter_of_a_sequence_returns_whole_traces_along_their_ancestors() -> None:
    torch.manual_seed(0)
    filtered = sequence_filter(sequence(), OBSERVED, num_particles=20, threshold=1.0)

    particles = filtered.particles()

    assert len(particles.traces) == 20
    for trace, last in zip(particles.traces, filtered.state, strict=True):
        assert trace.retval[-1] == last
        score, _ = sequence().assess(trace.choices)
        torch.testing.assert_close(score, trace.score)


def test_filtering_means_are_collected_at_every_step() -> None:
    torch.manual_seed(0)

    filtered: Filtered[Any] = sequence_filter(sequence(), OBSERVED, num_particles=20_000, collect=lambda z: z)

    assert filtered.collected.shape == (len(YS),)
    error = math.sqrt(VARIANCE / float(filtered.effective_sample_sizes[-1]))
    assert abs(float(filtered.collected[-1]) - MEAN) < 4 * error
    torch.testing.assert_close(
        filtered.expectation(lambda z: z), filtered.collected[-1], rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(filtered.log_evidence_of_steps.sum(), filtered.log_marginal_likelihood)


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_a_compiled_filter_draws_the_numbers_of_an_eager_one(threshold: float) -> None:
    run = partial(sequence_filter, sequence(), OBSERVED, num_particles=50, threshold=threshold)
    torch.manual_seed(0)
    eager = run()
    torch.manual_seed(0)
    compiled = run(compile=True)

    torch.testing.assert_close(compiled.log_marginal_likelihood, eager.log_marginal_likelihood)
    torch.testing.assert_close(compiled.log_weights, eager.log_weights, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(compiled.state, eager.state)
    draws = [run.particles().expectation(lambda trace: trace[(2, "z")]) for run in (compiled, eager)]
    torch.testing.assert_close(*draws)


def test_importance_sampling_compiled_draws_the_numbers_of_an_eager_batch() -> None:
    run = partial(importance_sampling, linear(2), {("y", 0): 0.5, ("y", 1): 0.1}, num_particles=50)
    torch.manual_seed(0)
    eager = run()
    torch.manual_seed(0)
    compiled = run(compile=True)

    torch.testing.assert_close(compiled.log_weights, eager.log_weights, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(compiled.log_marginal_likelihood, eager.log_marginal_likelihood)


def test_history_that_was_not_kept_is_missed_clearly() -> None:
    filtered = sequence_filter(sequence(), OBSERVED, num_particles=5, keep_history=False)

    with pytest.raises(HistoryNotKeptError, match="keep_history=True"):
        filtered.particles()


def test_a_filter_of_a_sequence_refuses_other_models() -> None:
    with pytest.raises(SequenceError, match="Expected a call of a sequence function"):
        sequence_filter(linear(3), {}, num_particles=5)


def test_observations_outside_the_sequence_are_refused() -> None:
    with pytest.raises(SequenceError, match="given at 9, but the steps of this model are 0 to 5"):
        sequence_filter(sequence(), {(9, "y"): 0.0}, num_particles=5)


def test_a_compiled_filter_needs_the_same_observations_at_every_step() -> None:
    with pytest.raises(VaryingStepsError, match="different addresses"):
        sequence_filter(sequence(), {(0, "y"): 0.0}, num_particles=5, compile=True)


def test_an_impossible_step_is_named() -> None:
    @gen
    def stuck(t: int, z: Tensor) -> Tensor:
        z = bernoulli(0.5) @ "z"
        bernoulli(0.0 if t == 2 else 0.5) @ "y"
        return z

    call = Unfold(stuck)(4, torch.tensor(False))

    with pytest.raises(ImpossibleStepError, match=r"At step 2 of .* every particle has weight -inf"):
        sequence_filter(call, {(t, "y"): True for t in range(4)}, num_particles=5)


# Particle Gibbs.


def smoothing_means() -> Tensor:
    """Return the exact posterior means of all states."""
    size = len(YS)
    step = torch.eye(size, dtype=torch.float64) - RHO * torch.diag(torch.ones(size - 1), -1)
    precision = step.T @ step + torch.eye(size) / NOISE**2
    means: Tensor = torch.linalg.solve(precision, torch.tensor(YS, dtype=torch.float64) / NOISE**2)
    return means


@gen
def around() -> None:
    CHAIN(len(YS), torch.tensor(0.0)) @ "chain"


@pytest.mark.slow
@pytest.mark.parametrize("address", [(), "chain"])
def test_particle_gibbs_draws_from_the_smoothing_distribution(address: Any) -> None:
    torch.manual_seed(0)
    prefix = () if address == () else (address,)
    model = sequence() if address == () else around()
    start = model.generate({(*prefix, *key): y for key, y in OBSERVED.items()}).trace
    kernel = partial(particle_gibbs, observed=select((ANY, "y")), num_particles=20, address=address)

    chain = run_chain(start, kernel, num_samples=600, num_warmup=10)

    draws = torch.stack(
        [torch.stack([trace[(*prefix, t, "z")] for t in range(len(YS))]) for trace in chain.traces]
    ).double()
    batches = draws.unflatten(0, (30, 20)).mean(1)
    errors = batches.std(0) / math.sqrt(30)
    assert bool(((draws.mean(0) - smoothing_means()).abs() < 4.5 * errors).all())


def test_particle_gibbs_leaves_observations_alone() -> None:
    torch.manual_seed(0)
    start = sequence().generate(OBSERVED).trace

    moved, info = particle_gibbs(start, select((ANY, "y")), num_particles=5)

    assert moved.choices.filter(select((ANY, "y"))) == choicemap(OBSERVED).map(torch.tensor)
    assert 0 <= info.share_moved <= 1


@pytest.mark.parametrize("run", ["batched", "compiled"])
def test_chains_of_particle_gibbs_run_side_by_side(run: str) -> None:
    torch.manual_seed(0)

    chains = mcmc(
        sequence(),
        OBSERVED,
        partial(particle_gibbs, observed=select((ANY, "y")), num_particles=10),
        num_samples=10,
        num_warmup=5,
        num_chains=60,
        compile="graph" if run == "compiled" else False,
    )

    assert chains.why_looped is None
    (acceptance,) = chains.acceptance_rates.values()
    assert bool((acceptance == 1).all())
    means = torch.stack([chains.draws[t, "z"].double().mean(1) for t in range(len(YS))], 1)
    errors = means.std(0) / math.sqrt(60)
    assert bool(((means.mean(0) - smoothing_means()).abs() < 4.5 * errors).all())


def test_what_depends_on_a_sequence_corrects_what_particle_gibbs_draws() -> None:
    @gen
    def coupled() -> None:
        states: Any = CHAIN(3, torch.tensor(0.0)) @ "chain"
        normal(states[-1], NOISE) @ "end"

    # The end is one more measurement of the last state.
    size = 3
    step = torch.eye(size, dtype=torch.float64) - RHO * torch.diag(torch.ones(size - 1), -1)
    precision = step.T @ step
    precision[2, 2] += 1 / NOISE**2
    exact = torch.linalg.solve(precision, torch.tensor([0.0, 0.0, 1.5 / NOISE**2], dtype=torch.float64))
    torch.manual_seed(0)

    chains = mcmc(
        coupled(),
        {"end": 1.5},
        partial(particle_gibbs, observed=NONE, num_particles=4, address="chain"),
        num_samples=60,
        num_warmup=20,
        num_chains=100,
        batched=True,
    )

    assert 0.2 < float(chains.statistic_means["accepted"].mean()) < 0.9
    means = torch.stack([chains.draws["chain", t, "z"].double().mean(1) for t in range(size)], 1)
    errors = means.std(0) / math.sqrt(100)
    assert bool(((means.mean(0) - exact).abs() < 4 * errors).all())


# Annealing.


def test_tempered_models_keep_the_laws() -> None:
    @gen
    def model(scale: float) -> Tensor:
        x = normal(0.0, scale) @ "x"
        normal(x, 0.5) @ "y"
        return x

    tempered = Tempered(model, select("y"))

    check_laws(tempered(0.3, 2.0), forward=False, other_calls=[tempered(0.8, 1.0)])


def test_annealing_reaches_a_posterior_that_importance_sampling_does_not() -> None:
    @gen
    def far() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(x, 0.01) @ "y"

    @gen
    def drift(trace: Trace[Any]) -> None:
        normal(trace["x"], 0.1) @ "x"

    torch.manual_seed(0)
    runs = [
        annealed_smc(
            far(), {"y": 3.0}, partial(metropolis_hastings, proposal=drift), num_particles=200, num_moves=5
        )
        for _ in range(10)
    ]

    exact = -0.5 * (math.log(2 * math.pi * 1.0001) + 9 / 1.0001)
    ratios = torch.stack([run.log_marginal_likelihood - exact for run in runs]).exp()
    assert abs(float(ratios.mean() - 1)) < 4 * float(ratios.std()) / math.sqrt(10)
    means = torch.stack([run.expectation(lambda trace: trace["x"]) for run in runs])
    assert abs(float(means.mean()) - 3 / 1.0001) < 4 * float(means.std()) / math.sqrt(10) + 1e-4


def test_compiled_annealing_draws_the_numbers_of_a_batch_with_one_program(
    programs: list[Any],
) -> None:
    run = partial(
        annealed_smc,
        linear(2),
        {("y", 0): 0.5, ("y", 1): 0.1},
        partial(metropolis_hastings, proposal=select(("z", 0))),
        num_particles=50,
        num_moves=2,
    )
    # At the first of these powers particles keep their weights, and at the last they are resampled.
    schedules: list[Any] = [None, [0.05, 0.1, 1.0]]
    for powers in schedules:
        torch.manual_seed(0)
        eager = run(powers=powers)
        torch.manual_seed(0)
        compiled = run(powers=powers, compile=True)

        assert compiled.why_looped is None
        close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)
        close(compiled.log_marginal_likelihood, eager.log_marginal_likelihood)
        close(compiled.log_weights, eager.log_weights)
        close(*[each.expectation(lambda trace: trace["z", 0]) for each in (compiled, eager)])
    (program,) = programs
    assert program.num_programs == 1


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list in which there will be what annealing compiles, here to graphs: they draw in order."""
    module: Any = importlib.import_module("gen_inflib.annealed_move")
    made: list[Any] = []

    def compiled(function: Any, what: str) -> Any:
        made.append(jit(function, backend="graph"))
        return made[-1]

    monkeypatch.setattr(module, "compiled", compiled)
    return made


def test_annealing_does_not_compile_what_cannot_be_batched() -> None:
    def branching(trace: Trace[Any]) -> Any:
        return metropolis_hastings(trace, proposal=select(("z", 0))) if trace["z", 0] > 0 else (trace, None)

    run = partial(annealed_smc, linear(1), {("y", 0): 1.0}, branching, num_particles=5, compile=True)

    with pytest.raises(NotBatchableError, match="a branch or loop depends on a value"):
        run()
    with pytest.raises(OptionsError, match="leave out batched=False"):
        run(batched=False)


@pytest.mark.parametrize("powers", [[], [0.5], [0.5, 0.2, 1.0], [0.0, 1.0]])
def test_powers_lead_from_prior_to_posterior(powers: list[float]) -> None:
    with pytest.raises(PowersError, match="increase from above 0 to 1"):
        annealed_smc(linear(1), {("y", 0): 0.0}, lambda trace: (trace, None), num_particles=2, powers=powers)


# What is refused.


def test_a_filter_needs_steps() -> None:
    with pytest.raises(CountError, match="number of steps"):
        particle_filter([], num_particles=5)


def test_impossible_observations_are_reported_at_a_later_step() -> None:
    @gen
    def model(num_steps: int) -> None:
        for t in range(num_steps):
            bernoulli(0.5 if t == 0 else 0.0) @ t

    with pytest.raises(ImpossibleObservationsError, match="All 5 particles of model have weight -inf"):
        particle_filter([(model(1), {0: True}), (model(2), {1: True})], num_particles=5)


def test_models_that_do_not_batch_say_why_they_run_one_by_one() -> None:
    @gen
    def branching() -> None:
        normal(1.0 if bernoulli(0.5) @ "z" else -1.0, 1.0) @ "y"

    particles: Weighted[Any] = importance_sampling(branching(), {"y": 0.3}, num_particles=10)

    assert isinstance(particles.traces, tuple)
    assert particles.why_looped is not None
    assert "a branch or loop depends on a value" in particles.why_looped


def test_a_vector_of_sequences_filters_in_one_batch() -> None:
    @gen
    def many(t: int, zs: Tensor) -> Tensor:
        return torch.stack(list(Map(walker)(zs) @ "walkers"))

    @gen
    def walker(z: Tensor) -> Tensor:
        z = normal(z, 1.0) @ "z"
        normal(z, 1.0) @ "y"
        return z

    torch.manual_seed(0)
    observed = {(t, "walkers", i, "y"): 0.1 for t in range(2) for i in range(3)}

    filtered = sequence_filter(Unfold(many)(2, torch.zeros(3)), observed, num_particles=10)

    assert filtered.state.shape == (10, 3)
