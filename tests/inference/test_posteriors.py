"""Every algorithm on every model with a known answer.

A tolerance is four standard errors, estimated from the run itself: by the delta method for weighted traces,
from the means of batches for chains. With a right algorithm and a fresh seed, one check in thousands fails.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import ANY, Call, Choices, Trace, select
from gen_distributions import bernoulli, beta, categorical, multivariate_normal, normal, uniform
from gen_dml import gen
from gen_inflib import (
    Kernel,
    annealed_smc,
    cycle,
    elliptical_slice,
    for_each,
    gibbs,
    hmc,
    importance_resampling,
    importance_sampling,
    involution_of,
    involutive_metropolis_hastings,
    mala,
    mcmc,
    metropolis_hastings,
    mixture,
    nuts,
    random_walk,
    repeat,
    run_chain,
    slice_sampling,
    when,
)

NUM_STANDARD_ERRORS = 4.0
NUM_PARTICLES = 1000
NUM_SAMPLES = 1500
NUM_BATCHES = 30


@dataclass(frozen=True)
class Problem:
    """A posterior with a known answer."""

    model: Call[Any]
    observations: Choices
    statistic: Callable[[Trace[Any]], float | Tensor]
    posterior_mean: float
    log_evidence: float
    proposal: Call[Any]
    kernels: dict[str, Kernel[Any]]
    posterior_variance: float = math.nan
    """Of the statistic; NaN where it is not known."""


# A discrete model: the answer by enumeration.


@gen
def alarm() -> None:
    burglary = bernoulli(0.1) @ "burglary"
    earthquake = bernoulli(0.2) @ "earthquake"
    rings = bernoulli(0.9 if burglary else 0.4 if earthquake else 0.05) @ "rings"
    bernoulli(0.7 if rings else 0.1) @ "call"


@gen
def alarm_proposal() -> None:
    burglary = bernoulli(0.5) @ "burglary"
    bernoulli(0.8 if burglary else 0.3) @ "rings"


@gen
def flip_burglary(trace: Trace[Any]) -> None:
    bernoulli(0.2 if trace["burglary"] else 0.9) @ "burglary"
    bernoulli(0.6) @ "earthquake"


def alarm_problem() -> Problem:
    observed = {"call": True}
    latents = [
        {"burglary": burglary, "earthquake": earthquake, "rings": rings}
        for burglary in (False, True)
        for earthquake in (False, True)
        for rings in (False, True)
    ]
    mean, log_evidence = enumerated(alarm(), observed, latents, lambda latent: float(latent["burglary"]))
    return Problem(
        model=alarm(),
        observations=observed,
        statistic=lambda trace: float(trace["burglary"]),
        posterior_mean=mean,
        log_evidence=log_evidence,
        proposal=alarm_proposal(),
        kernels={
            "one selection": by(select("burglary", "earthquake", "rings")),
            "one at a time": cycle(by(select("burglary")), by(select("earthquake")), by(select("rings"))),
            "custom proposal": cycle(by(flip_burglary), repeat(by(select("rings")), 2)),
            "gibbs": cycle(
                *[partial(gibbs, selection=select(name)) for name in ("burglary", "earthquake", "rings")]
            ),
            "gibbs of a block": partial(gibbs, selection=select("burglary", "earthquake", "rings")),
        },
    )


# A discrete model of random structure: the answer by enumeration.


@gen
def detections() -> None:
    num_objects = categorical([0.5, 0.3, 0.2]) @ "num_objects"
    bright = sum(bool(bernoulli(0.3 + 0.2 * i) @ ("bright", i)) for i in range(num_objects))
    bernoulli((0.1, 0.6, 0.9)[bright]) @ "detected"


@gen
def guess_objects() -> None:
    num_objects = categorical([0.2, 0.4, 0.4]) @ "num_objects"
    for i in range(num_objects):
        bernoulli(0.7) @ ("bright", i)


@gen
def birth_or_death(trace: Trace[Any]) -> None:
    num_objects = int(trace["num_objects"])
    neighbours = ([0.0, 1.0, 0.0], [0.4, 0.0, 0.6], [0.0, 1.0, 0.0])[num_objects]
    proposed = categorical(neighbours) @ "num_objects"
    if proposed > num_objects:
        bernoulli(0.8) @ ("bright", num_objects)


@gen
def jump_anywhere(trace: Trace[Any]) -> None:
    """Propose all objects anew, with probabilities that depend on what there is."""
    num_objects = categorical([0.3, 0.3, 0.4] if trace["num_objects"] else [0.1, 0.5, 0.4]) @ "num_objects"
    for i in range(num_objects):
        bernoulli(0.4) @ ("bright", i)


def flip_bright(trace: Trace[Any]) -> tuple[Trace[Any], Any]:
    everything = select(*(("bright", i) for i in range(trace["num_objects"])))
    return metropolis_hastings(trace, everything)


def detections_problem() -> Problem:
    observed = {"detected": True}
    latents: list[dict[Any, Any]] = [
        {"num_objects": k} | {("bright", i): bool(bits >> i & 1) for i in range(k)}
        for k in range(3)
        for bits in range(2**k)
    ]
    mean, log_evidence = enumerated(
        detections(), observed, latents, lambda latent: float(latent["num_objects"])
    )
    return Problem(
        model=detections(),
        observations=observed,
        statistic=lambda trace: float(trace["num_objects"]),
        posterior_mean=mean,
        log_evidence=log_evidence,
        proposal=guess_objects(),
        kernels={
            "selection that changes structure": cycle(by(select("num_objects")), flip_bright),
            "birth and death": cycle(by(birth_or_death), flip_bright),
            "birth and death alone": by(birth_or_death),
            "jumps of any size": by(jump_anywhere),
            "mixture": mixture(
                [(1.0, by(birth_or_death)), (2.0, flip_bright), (1.0, by(select("num_objects")))]
            ),
        },
    )


# Conjugate models: the answer in closed form.


@gen
def measurements(num: int) -> Tensor:
    mean = normal(1.0, 2.0) @ "mean"
    for i in range(num):
        normal(mean, 1.5) @ ("y", i)
    return mean


@gen
def near(center: float) -> None:
    normal(center, 1.0) @ "mean"


@gen
def drift(trace: Trace[Any]) -> None:
    """A lopsided random walk, so that the two directions differ."""
    normal(0.8 * trace["mean"] + 0.5, 0.7) @ "mean"


@gen
def stretch(trace: Trace[Any]) -> None:
    normal(0.0, 0.8) @ "log_factor"


stretched = involution_of(
    # About 1; the Jacobian of both is the factor, less the sign.
    lambda ours, theirs: (
        {"mean": 1 + (ours["mean"] - 1) * theirs["log_factor"].exp()},
        {"log_factor": -theirs["log_factor"]},
    ),
    select("mean"),
)


def normal_problem() -> Problem:
    ys = [2.5, 0.5, 3.0]
    precision = 1 / 2.0**2 + len(ys) / 1.5**2
    covariance = 1.5**2 * torch.eye(3) + 2.0**2
    marginal = torch.distributions.MultivariateNormal(torch.ones(3), covariance)
    return Problem(
        model=measurements(len(ys)),
        observations={("y", i): y for i, y in enumerate(ys)},
        statistic=lambda trace: trace["mean"],
        posterior_mean=(1.0 / 2.0**2 + sum(ys) / 1.5**2) / precision,
        log_evidence=float(marginal.log_prob(torch.tensor(ys))),
        proposal=near(2.0),
        kernels={
            "selection": by(select("mean")),
            "custom proposal": by(drift),
            "random walk": partial(random_walk, selection=select("mean"), scale=1.5),
            "slice": partial(slice_sampling, selection=select("mean"), width=2.0),
            "narrow slice": partial(slice_sampling, selection=select("mean"), width=0.5, max_steps_out=1),
            "elliptical slice": partial(elliptical_slice, address="mean"),
            "involution": cycle(
                repeat(partial(involutive_metropolis_hastings, proposal=stretch, involution=stretched), 3),
                by(select("mean")),  # the other does not cross 1
            ),
            "hmc": partial(hmc, selection=select("mean"), step_size=0.5, num_leapfrogs=3),
            "mala": partial(mala, selection=select("mean"), step_size=1.2),
            "nuts": partial(nuts, selection=select("mean"), step_size=0.7),
            "for each": for_each(
                [0.5, 2.0], lambda scale: partial(random_walk, selection=select("mean"), scale=scale)
            ),
        },
        posterior_variance=1 / precision,
    )


@gen
def tosses(num: int) -> Tensor:
    chance = beta(2.0, 3.0) @ "chance"
    for i in range(num):
        bernoulli(chance) @ ("toss", i)
    return chance


@gen
def any_chance() -> None:
    uniform(0.0, 1.0) @ "chance"


@gen
def redraw_chance(trace: Trace[Any]) -> None:
    beta(1.0 + 4.0 * trace["chance"], 2.0) @ "chance"


walk_chance: Kernel[Any] = partial(random_walk, selection=select("chance"), scale=1.5)


def beta_problem() -> Problem:
    heads, tails = 4, 1
    log_beta = [
        math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) for a, b in [(2, 3), (2 + heads, 3 + tails)]
    ]
    return Problem(
        model=tosses(heads + tails),
        observations={("toss", i): i < heads for i in range(heads + tails)},
        statistic=lambda trace: trace["chance"],
        posterior_mean=(2 + heads) / (5 + heads + tails),
        log_evidence=log_beta[1] - log_beta[0],
        proposal=any_chance(),
        kernels={
            "selection": by(select("chance")),
            "custom proposal": by(redraw_chance),
            "random walk": walk_chance,
            "slice": partial(slice_sampling, selection=select("chance"), width=1.0),
            "hmc": partial(hmc, selection=select("chance"), step_size=0.5, num_leapfrogs=3),
            "mala": partial(mala, selection=select("chance"), step_size=1.0),
            "nuts": partial(nuts, selection=select("chance"), step_size=0.7),
            "mixture": mixture(
                [
                    (1.0, by(select("chance"))),
                    (2.0, walk_chance),
                ]
            ),
        },
        # Of beta(a, b): ab / ((a + b)^2 (a + b + 1)).
        posterior_variance=(2 + heads) * (3 + tails) / (5 + heads + tails) ** 2 / (6 + heads + tails),
    )


# A vector with a correlated normal prior, of which a sum is measured: the answer in closed form.

COVARIANCE = torch.tensor([[1.0, 0.6], [0.6, 2.0]])
WEIGHTS = torch.tensor([1.0, -0.5])


@gen
def measured_sum() -> Tensor:
    x = multivariate_normal([1.0, -1.0], COVARIANCE) @ "x"
    normal((WEIGHTS * x).sum(), 0.7) @ "y"
    return x


@gen
def wide() -> None:
    multivariate_normal([1.0, -1.0], 2.0 * COVARIANCE) @ "x"


def vector_problem() -> Problem:
    y, mean = 3.0, torch.tensor([1.0, -1.0])
    variance = WEIGHTS @ COVARIANCE @ WEIGHTS + 0.7**2
    gain = COVARIANCE @ WEIGHTS / variance
    marginal = torch.distributions.Normal(WEIGHTS @ mean, variance.sqrt())
    return Problem(
        model=measured_sum(),
        observations={"y": y},
        statistic=lambda trace: trace["x"][0],
        posterior_mean=float((mean + gain * (y - WEIGHTS @ mean))[0]),
        log_evidence=float(marginal.log_prob(torch.tensor(y))),
        proposal=wide(),
        kernels={
            "selection": by(select("x")),
            "random walk": partial(random_walk, selection=select("x"), scale=1.0),
            "slice along a line": partial(slice_sampling, selection=select("x"), width=2.0),
            "elliptical slice": partial(elliptical_slice, address="x"),
        },
        posterior_variance=float((COVARIANCE - gain.outer(COVARIANCE @ WEIGHTS))[0, 0]),
    )


# A mixture: which of two normals a value is from, and the value; the answer in closed form.


@gen
def mixture_of_two() -> Tensor:
    is_high = bernoulli(0.3) @ "is_high"
    x = normal(torch.where(is_high, 2.0, -1.0), torch.where(is_high, 0.8, 1.2)) @ "x"
    normal(x, 1.0) @ "y"
    return x


@gen
def anywhere() -> None:
    bernoulli(0.5) @ "is_high"
    normal(0.5, 1.8) @ "x"


def mixture_problem() -> Problem:
    y = 0.8
    parts = [(0.7, -1.0, 1.2), (0.3, 2.0, 0.8)]
    weights = [
        prob * math.exp(float(normal.log_prob(torch.tensor(y), mean, math.hypot(scale, 1.0))))
        for prob, mean, scale in parts
    ]
    means = [(mean / scale**2 + y) / (1 / scale**2 + 1) for _, mean, scale in parts]
    return Problem(
        model=mixture_of_two(),
        observations={"y": y},
        statistic=lambda trace: trace["x"],
        posterior_mean=sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights),
        log_evidence=math.log(sum(weights)),
        proposal=anywhere(),
        kernels={
            "gibbs and random walk": cycle(
                partial(gibbs, selection=select("is_high")),
                repeat(partial(random_walk, selection=select("x"), scale=1.0), 2),
            ),
            "gibbs and elliptical slice": cycle(
                partial(gibbs, selection=select("is_high")), partial(elliptical_slice, address="x")
            ),
            "gibbs and slice": cycle(
                partial(gibbs, selection=select("is_high")),
                partial(slice_sampling, selection=select("x"), width=2.0),
            ),
            "when": cycle(
                by(select("is_high", "x")),
                when(
                    lambda trace: trace["is_high"],
                    partial(random_walk, selection=select("x"), scale=1.0),
                ),
            ),
        },
    )


def by(proposal: Any) -> Kernel[Any]:
    return partial(metropolis_hastings, proposal=proposal)


# A hidden Markov model: the answer by enumeration.

TRANSITION = torch.tensor([[0.8, 0.2], [0.3, 0.7]])
EMISSION = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
EMITTED = [0, 2, 1, 2]


@gen
def hidden_markov(num_steps: int) -> None:
    chances = torch.tensor([0.6, 0.4])
    for t in range(num_steps):
        z = categorical(chances) @ ("z", t)
        categorical(EMISSION[z]) @ ("x", t)
        chances = TRANSITION[z]


@gen
def read_emissions() -> None:
    for t, x in enumerate(EMITTED):
        categorical(EMISSION[:, x]) @ ("z", t)


def hidden_markov_problem() -> Problem:
    observed = {("x", t): x for t, x in enumerate(EMITTED)}
    states = range(len(EMITTED))
    latents = [
        {("z", t): z for t, z in enumerate(zs)} for zs in itertools.product((0, 1), repeat=len(EMITTED))
    ]
    model = hidden_markov(len(EMITTED))
    mean, log_evidence = enumerated(model, observed, latents, lambda latent: float(latent["z", 1]))
    return Problem(
        model=model,
        observations=observed,
        statistic=lambda trace: trace[("z", 1)].float(),
        posterior_mean=mean,
        log_evidence=log_evidence,
        proposal=read_emissions(),
        kernels={
            "one selection": by(select(("z", ANY))),
            "gibbs": cycle(*[partial(gibbs, selection=select(("z", t))) for t in states]),
            "gibbs of blocks": cycle(
                partial(gibbs, selection=select(("z", 0), ("z", 1))),
                partial(gibbs, selection=select(("z", 2), ("z", 3))),
            ),
        },
        posterior_variance=mean * (1 - mean),
    )


# A linear-Gaussian state space model: the answer by the Kalman filter.

DRIFT, NOISE = 0.9, 1.0
MEASURED = [0.3, -0.8, 1.2]


@gen
def state_space(num_steps: int) -> Any:
    z: Any = 0.0
    for t in range(num_steps):
        z = normal(DRIFT * z, 1.0) @ ("z", t)
        normal(z, NOISE) @ ("y", t)
    return z


@gen
def near_measurements() -> None:
    for t, y in enumerate(MEASURED):
        normal(0.6 * y, 1.0) @ ("z", t)


def state_space_problem() -> Problem:
    mean, variance, log_evidence = 0.0, 0.0, 0.0
    for y in MEASURED:
        mean, variance = DRIFT * mean, DRIFT**2 * variance + 1
        total = variance + NOISE**2
        log_evidence -= 0.5 * (math.log(2 * math.pi * total) + (y - mean) ** 2 / total)
        gain = variance / total
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
    states = select(("z", ANY))
    return Problem(
        model=state_space(len(MEASURED)),
        observations={("y", t): y for t, y in enumerate(MEASURED)},
        statistic=lambda trace: trace[("z", len(MEASURED) - 1)],
        posterior_mean=mean,
        log_evidence=log_evidence,
        proposal=near_measurements(),
        kernels={
            "one at a time": cycle(*[by(select(("z", t))) for t in range(len(MEASURED))]),
            "random walk": partial(random_walk, selection=states, scale=0.6),
            "slice": partial(slice_sampling, selection=states, width=1.5),
            "hmc": partial(hmc, selection=states, step_size=0.4, num_leapfrogs=3),
            "nuts": partial(nuts, selection=states, step_size=0.4),
        },
        posterior_variance=variance,
    )


def enumerated(
    model: Call[Any],
    observed: dict[Any, Any],
    latents: Iterable[dict[Any, Any]],
    statistic: Callable[[Any], float],
) -> tuple[float, float]:
    """Return the posterior mean of a statistic, and the log evidence, by summing over all choices."""
    joint = [(statistic(latent), float(model.assess(observed | latent).score.exp())) for latent in latents]
    evidence = sum(probability for _, probability in joint)
    return sum(value * probability for value, probability in joint) / evidence, math.log(evidence)


PROBLEMS = {
    "alarm": alarm_problem(),
    "detections": detections_problem(),
    "normal": normal_problem(),
    "beta": beta_problem(),
    "vector": vector_problem(),
    "mixture": mixture_problem(),
    "hidden_markov": hidden_markov_problem(),
    "state_space": state_space_problem(),
}
CHAINS = [(problem, kernel) for problem, known in PROBLEMS.items() for kernel in known.kernels]


@pytest.mark.parametrize("with_proposal", [False, True], ids=["internal", "custom"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_importance_sampling_agrees_with_the_known_answer(name: str, with_proposal: bool) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(1)

    weighted = importance_sampling(
        problem.model,
        problem.observations,
        num_particles=NUM_PARTICLES,
        proposal=problem.proposal if with_proposal else None,
    )

    weights = weighted.log_weights.exp()
    values = torch.tensor([problem.statistic(trace) for trace in weighted.traces], dtype=torch.float64)
    estimate = weighted.expectation(problem.statistic)
    # The delta method, for a ratio of means.
    standard_error = (weights * (values - estimate)).square().sum().sqrt()
    assert abs(estimate - problem.posterior_mean) < NUM_STANDARD_ERRORS * standard_error
    relative_error = (NUM_PARTICLES * weights).std() / math.sqrt(NUM_PARTICLES)
    log_error = abs(weighted.log_marginal_likelihood - problem.log_evidence)
    assert log_error < NUM_STANDARD_ERRORS * relative_error


@pytest.mark.parametrize("with_proposal", [False, True], ids=["internal", "custom"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_importance_resampling_agrees_with_the_known_answer(name: str, with_proposal: bool) -> None:
    problem = PROBLEMS[name]
    proposal = problem.proposal if with_proposal else None
    torch.manual_seed(2)

    runs = [
        importance_resampling(problem.model, problem.observations, num_particles=50, proposal=proposal)
        for _ in range(100)
    ]

    values = torch.tensor([problem.statistic(run.trace) for run in runs], dtype=torch.float64)
    # With 50 particles the bias is of the order of 1/50 standard deviation, well inside 4/sqrt(100).
    assert abs(values.mean() - problem.posterior_mean) < NUM_STANDARD_ERRORS * values.std() / math.sqrt(
        len(runs)
    )
    ratios = (torch.stack([run.log_marginal_likelihood for run in runs]) - problem.log_evidence).exp()
    assert abs(ratios.mean() - 1) < NUM_STANDARD_ERRORS * ratios.std() / math.sqrt(len(runs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_annealing_agrees_with_the_known_answer(name: str, dtype: torch.dtype) -> None:
    problem = PROBLEMS[name]
    kernel = next(iter(problem.kernels.values()))
    torch.manual_seed(5)

    with default_dtype(dtype):
        runs = [
            annealed_smc(problem.model, problem.observations, kernel, num_particles=40, num_moves=2)
            for _ in range(15)
        ]
        values = torch.stack([run.expectation(problem.statistic) for run in runs]).double()

    # With 40 particles the bias is of the order of 1/40 standard deviation, well inside 4/sqrt(15).
    error = values.std() / math.sqrt(len(runs))
    assert abs(values.mean() - problem.posterior_mean) < NUM_STANDARD_ERRORS * error
    ratios = (torch.stack([run.log_marginal_likelihood for run in runs]) - problem.log_evidence).exp()
    assert abs(ratios.mean() - 1) < NUM_STANDARD_ERRORS * ratios.std() / math.sqrt(len(runs))


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(("name", "kernel"), CHAINS)
def test_a_chain_agrees_with_the_known_answer(name: str, kernel: str) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(3)
    start = importance_resampling(problem.model, problem.observations, num_particles=10).trace

    chain = run_chain(start, problem.kernels[kernel], num_samples=NUM_SAMPLES, num_warmup=50)

    values = torch.tensor([problem.statistic(trace) for trace in chain.traces], dtype=torch.float64)
    means = values.reshape(NUM_BATCHES, -1).mean(1)
    standard_error = means.std() / math.sqrt(NUM_BATCHES)
    assert abs(values.mean() - problem.posterior_mean) < NUM_STANDARD_ERRORS * standard_error


BATCHABLE = [(problem, kernel) for problem, kernel in CHAINS if problem not in ("alarm", "detections")]


@pytest.mark.parametrize(("name", "kernel"), BATCHABLE)
def test_batched_chains_agree_with_the_known_answer(name: str, kernel: str) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(4)

    chains = mcmc(
        problem.model,
        problem.observations,
        problem.kernels[kernel],
        num_samples=30,
        num_warmup=25,
        num_chains=200,
        collect=lambda trace: (
            problem.statistic(trace),
            (problem.statistic(trace) - problem.posterior_mean) ** 2,
        ),
        keep_draws=False,
    )

    assert chains.why_looped is None
    assert chains.collected_moments is not None
    expected = (problem.posterior_mean, problem.posterior_variance)
    for means, known in zip(chains.collected_moments.mean, expected, strict=True):
        # The chains are independent.
        standard_error = means.std() / math.sqrt(len(means))
        assert math.isnan(known) or abs(means.mean() - known) < NUM_STANDARD_ERRORS * standard_error
