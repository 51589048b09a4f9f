"""Models with a known answer: a posterior mean and the evidence, and kernels that lead there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gen_combinators import Unfold
from gen_core import ANY, NONE, Call, Choices, Selection, Trace, select
from gen_distributions import (
    bernoulli,
    beta,
    categorical,
    multivariate_normal,
    normal,
    uniform,
    uniform_discrete,
)
from gen_dml import gen
from gen_inflib import (
    Kernel,
    adaptive_hmc,
    adaptive_nuts,
    cycle,
    elliptical_slice,
    for_each,
    gibbs,
    hmc,
    involution_of,
    involutive_metropolis_hastings,
    mala,
    metropolis_hastings,
    mixture,
    nuts,
    particle_gibbs,
    random_walk,
    repeat,
    slice_sampling,
    when,
)


@dataclass(frozen=True)
class Problem:
    """A posterior with a known answer."""

    model: Call[Any]
    observations: Choices
    statistic: Callable[[Trace[Any]], float | Tensor]
    posterior_mean: float
    log_evidence: float
    proposal: Call[Any]
    kernels: dict[str, Any]
    posterior_variance: float = math.nan
    """Of the statistic; NaN where it is not known."""
    is_batchable: bool = True
    enumerated: Selection | None = NONE
    """What gradient-based algorithms sum over; None where they do not apply."""
    is_normal: bool = False
    """Whether the posterior is a normal distribution: its mode is its mean, and Laplace's method exact."""
    steps: Callable[[int], Call[Any]] | None = None
    """Of a sequence, the model of so many steps; what is observed at step t is below t."""
    step_proposal: Callable[[int, Any], Call[Any]] | None = None


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
        is_batchable=False,
        enumerated=None,
        posterior_variance=mean * (1 - mean),
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
        is_batchable=False,
        enumerated=None,
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
            "adaptive hmc": adaptive_hmc(select("mean"), num_leapfrogs=3),
            "adaptive nuts": adaptive_nuts(select("mean")),
            "for each": for_each(
                [0.5, 2.0], lambda scale: partial(random_walk, selection=select("mean"), scale=scale)
            ),
        },
        posterior_variance=1 / precision,
        is_normal=True,
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
            "adaptive nuts": adaptive_nuts(select("chance")),
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
            "hmc": partial(hmc, selection=select("x"), step_size=0.6, num_leapfrogs=3),
            "mala": partial(mala, selection=select("x"), step_size=0.8),
            "nuts": partial(nuts, selection=select("x"), step_size=0.7),
            "adaptive hmc, dense": adaptive_hmc(select("x"), num_leapfrogs=3, metric="dense"),
        },
        is_normal=True,
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


@gen
def jitter(trace: Trace[Any]) -> None:
    """Another component, and where the value goes within it."""
    normal(0.0, 0.5) @ "shift"


def to_the_other(ours: Any, theirs: Any) -> Any:
    """Move to the other component: to the same place of it, mirrored and shifted."""
    was_high, shift = ours["is_high"], theirs["shift"]
    place = torch.where(was_high, (ours["x"] - 2.0) / 0.8, (ours["x"] + 1.0) / 1.2) + shift
    x = torch.where(was_high, -1.0 + 1.2 * place, 2.0 + 0.8 * place)
    return {"is_high": ~was_high, "x": x}, {"shift": -shift}


swapped = involution_of(to_the_other, select("is_high", "x"))


def mixture_problem() -> Problem:
    y = 0.8
    parts = [(0.7, -1.0, 1.2), (0.3, 2.0, 0.8)]
    weights = [
        prob * math.exp(float(normal.log_prob(torch.tensor(y), mean, math.hypot(scale, 1.0))))
        for prob, mean, scale in parts
    ]
    means = [(mean / scale**2 + y) / (1 / scale**2 + 1) for _, mean, scale in parts]
    mean = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)
    return Problem(
        model=mixture_of_two(),
        observations={"y": y},
        statistic=lambda trace: trace["x"],
        posterior_mean=mean,
        posterior_variance=sum(
            w * (1 / (1 / scale**2 + 1) + (m - mean) ** 2)
            for w, m, (_, _, scale) in zip(weights, means, parts, strict=True)
        )
        / sum(weights),
        enumerated=select("is_high"),
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
            "hmc that sums over": partial(
                hmc, selection=select("x"), step_size=0.7, num_leapfrogs=3, enumerate=select("is_high")
            ),
            "nuts that sums over": partial(
                nuts, selection=select("x"), step_size=0.7, max_tree_depth=3, enumerate=select("is_high")
            ),
            "involution": cycle(
                partial(involutive_metropolis_hastings, proposal=jitter, involution=swapped),
                partial(gibbs, selection=select("is_high")),
                by(select("x")),
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

# The last row is where it starts.
TRANSITION = torch.tensor([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
EMISSION = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
EMITTED = [0, 2, 1, 2]


def row(table: Tensor, index: int | Tensor) -> Tensor:
    """Return a row of a table, also where programs are compiled and the index is not known."""
    return table.index_select(0, torch.as_tensor(index).reshape(1)).squeeze(0)


@gen
def hidden_markov_step(t: int, z: Tensor) -> Tensor:
    z = categorical(row(TRANSITION, z)) @ "z"
    categorical(row(EMISSION, z)) @ "x"
    return z


def hidden_markov(num_steps: int) -> Call[Any]:
    return Unfold(hidden_markov_step)(num_steps, torch.tensor(2))


@gen
def read_emissions() -> None:
    for t, x in enumerate(EMITTED):
        categorical(EMISSION[:, x]) @ (t, "z")


@gen
def read_emission(t: int, z: Tensor) -> None:
    categorical(row(EMISSION.mT.index_select(0, torch.tensor(EMITTED)), t)) @ "z"


def hidden_markov_problem() -> Problem:
    observed = {(t, "x"): x for t, x in enumerate(EMITTED)}
    states = range(len(EMITTED))
    latents = [
        {(t, "z"): z for t, z in enumerate(zs)} for zs in itertools.product((0, 1), repeat=len(EMITTED))
    ]
    model = hidden_markov(len(EMITTED))
    mean, log_evidence = enumerated(model, observed, latents, lambda latent: float(latent[1, "z"]))
    return Problem(
        model=model,
        observations=observed,
        statistic=lambda trace: trace[(1, "z")].to(torch.get_default_dtype()),
        posterior_mean=mean,
        log_evidence=log_evidence,
        proposal=read_emissions(),
        kernels={
            "one selection": by(select((ANY, "z"))),
            "gibbs": cycle(*[partial(gibbs, selection=select((t, "z"))) for t in states]),
            "gibbs of blocks": cycle(
                partial(gibbs, selection=select((0, "z"), (1, "z"))),
                partial(gibbs, selection=select((2, "z"), (3, "z"))),
            ),
            "particle gibbs": partial(particle_gibbs, observed=select((ANY, "x")), num_particles=4),
        },
        posterior_variance=mean * (1 - mean),
        enumerated=None,
        steps=hidden_markov,
        step_proposal=read_emission,
    )


# A linear-Gaussian state space model: the answer by the Kalman filter.

DRIFT, NOISE = 0.9, 1.0
MEASURED = [0.3, -0.8, 1.2]


@gen
def state_space_step(t: int, z: Tensor) -> Tensor:
    z = normal(DRIFT * z, 1.0) @ "z"
    normal(z, NOISE) @ "y"
    return z


def state_space(num_steps: int) -> Call[Any]:
    return Unfold(state_space_step)(num_steps, torch.tensor(0.0))


@gen
def near_measurements() -> None:
    for t, y in enumerate(MEASURED):
        normal(0.6 * y, 1.0) @ (t, "z")


@gen
def near_measurement(t: int, z: Tensor) -> None:
    normal(0.45 * z + 0.5 * row(torch.tensor(MEASURED), t), 0.8) @ "z"


def state_space_problem() -> Problem:
    mean, variance, log_evidence = 0.0, 0.0, 0.0
    for y in MEASURED:
        mean, variance = DRIFT * mean, DRIFT**2 * variance + 1
        total = variance + NOISE**2
        log_evidence -= 0.5 * (math.log(2 * math.pi * total) + (y - mean) ** 2 / total)
        gain = variance / total
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
    states = select((ANY, "z"))
    last = len(MEASURED) - 1
    return Problem(
        model=state_space(len(MEASURED)),
        observations={(t, "y"): y for t, y in enumerate(MEASURED)},
        statistic=lambda trace: trace[(last, "z")],
        posterior_mean=mean,
        log_evidence=log_evidence,
        proposal=near_measurements(),
        kernels={
            "one at a time": cycle(*[by(select((t, "z"))) for t in range(len(MEASURED))]),
            "random walk": partial(random_walk, selection=states, scale=0.6),
            "slice": partial(slice_sampling, selection=states, width=1.5),
            "elliptical slices": cycle(
                *[partial(elliptical_slice, address=(t, "z")) for t in range(len(MEASURED))]
            ),
            "hmc": partial(hmc, selection=states, step_size=0.4, num_leapfrogs=3),
            "nuts": partial(nuts, selection=states, step_size=0.7),
            "particle gibbs": partial(particle_gibbs, observed=select((ANY, "y")), num_particles=4),
        },
        posterior_variance=variance,
        is_normal=True,
        steps=state_space,
        step_proposal=near_measurement,
    )


# A change-point: when a level changed, and both levels; the answer by summing over when.

SERIES = [1.9, 0.8, 1.6, -0.9, 0.1, -1.2]


@gen
def change_point(num: int) -> None:
    at = uniform_discrete(1, num - 1) @ "at"
    before = normal(0.0, 2.0) @ "before"
    after = normal(0.0, 2.0) @ "after"
    for t in range(num):
        normal(torch.where(at > t, before, after), 1.0) @ ("y", t)


@gen
def somewhere() -> None:
    categorical([0.0, 0.1, 0.2, 0.4, 0.2, 0.1]) @ "at"
    normal(1.0, 1.0) @ "before"


@gen
def earlier_or_later(trace: Trace[Any]) -> None:
    """Move the change by one, or stay at the ends."""
    at = trace["at"]
    first, last = 1, len(SERIES) - 1
    steps = torch.arange(len(SERIES)) - at
    weights = torch.where(steps.abs() == 1, 1.0, 0.0) + torch.where(steps == 0, 0.2, 0.0)
    inside = (torch.arange(len(SERIES)) >= first) & (torch.arange(len(SERIES)) <= last)
    categorical(torch.where(inside, weights, 0.0)) @ "at"


def change_point_problem() -> Problem:
    num = len(SERIES)
    ys = torch.tensor(SERIES, dtype=torch.float64)
    times = torch.arange(num)
    logs, means, variances = [], [], []
    for at in range(1, num):
        early = times < at
        same = early[:, None] == early[None, :]
        covariance = torch.eye(num, dtype=torch.float64) + 4.0 * same
        zero = torch.zeros(num, dtype=torch.float64)
        log_density = torch.distributions.MultivariateNormal(zero, covariance).log_prob(ys)
        logs.append(float(log_density) - math.log(num - 1))
        precision = 1 / 4.0 + at
        means.append(float(ys[early].sum()) / precision)
        variances.append(1 / precision)
    log_evidence = float(torch.tensor(logs, dtype=torch.float64).logsumexp(0))
    weights = [math.exp(each - log_evidence) for each in logs]
    mean = sum(w * m for w, m in zip(weights, means, strict=True))
    levels = select("before", "after")
    moves: Kernel[Any] = partial(random_walk, selection=levels, scale=0.7)
    return Problem(
        model=change_point(num),
        observations={("y", t): y for t, y in enumerate(SERIES)},
        statistic=lambda trace: trace["before"],
        posterior_mean=mean,
        posterior_variance=sum(
            w * (v + (m - mean) ** 2) for w, m, v in zip(weights, means, variances, strict=True)
        ),
        log_evidence=log_evidence,
        proposal=somewhere(),
        enumerated=select("at"),
        kernels={
            "proposal and random walk": cycle(by(earlier_or_later), moves, moves),
            "gibbs and slice": cycle(
                partial(gibbs, selection=select("at")), partial(slice_sampling, selection=levels, width=2.0)
            ),
            "gibbs and elliptical slices": cycle(
                partial(gibbs, selection=select("at")),
                partial(elliptical_slice, address="before"),
                partial(elliptical_slice, address="after"),
            ),
            "gibbs and hmc": cycle(
                partial(gibbs, selection=select("at")),
                partial(hmc, selection=levels, step_size=0.5, num_leapfrogs=3),
            ),
            "nuts that sums over": partial(
                nuts, selection=levels, step_size=0.6, max_tree_depth=2, enumerate=select("at")
            ),
            "adaptive nuts that sums over": adaptive_nuts(levels, enumerate=select("at"), max_tree_depth=4),
            "mixture": repeat(
                mixture([(1.0, by(select("at"))), (1.0, by(earlier_or_later)), (2.0, moves)]), 4
            ),
        },
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
    "change_point": change_point_problem(),
}
