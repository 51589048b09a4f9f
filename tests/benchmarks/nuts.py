"""The no-U-turn sampler, compiled: effective samples a second, and the time to the first."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gen_core import Call
from gen_distributions import bernoulli, half_cauchy, normal
from gen_dml import gen
from gen_inflib import Chains, adaptive_nuts, mcmc
from gen_inflib.diagnostics import effective_sample_size

NUM_WARMUP, NUM_SAMPLES, NUM_RUNS = 500, 1000, 7

EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


@gen
def eight_schools(errors: Tensor) -> Tensor:
    """Effects of coaching in eight schools, not centred (Rubin 1981)."""
    mean = normal(0.0, 5.0) @ "mean"
    spread = half_cauchy(5.0) @ "spread"
    offsets = normal(torch.zeros(8), 1.0) @ "offsets"
    return normal(mean + spread * offsets, errors) @ "effects"


@gen
def logistic(features: Tensor) -> Tensor:
    """Logistic regression with standard normal weights."""
    weights = normal(torch.zeros(features.shape[1]), 1.0) @ "weights"
    return bernoulli(logits=features @ weights) @ "labels"


class Workload(NamedTuple):
    """A posterior, and how many effective samples a second are asked for."""

    name: str
    model: Call[Any]
    observations: dict[str, Tensor]
    target: float


def workloads() -> list[Workload]:
    """Return eight schools, and a logistic regression of 1000 labels on 10 features."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1000, 10, generator=generator)
    chances = torch.sigmoid(features @ torch.randn(10, generator=generator))
    labels = torch.rand(1000, generator=generator) < chances
    return [
        Workload("eight schools", eight_schools(ERRORS), {"effects": EFFECTS}, 2500.0),
        Workload("logistic regression, 1000 x 10", logistic(features), {"labels": labels}, 1500.0),
    ]


def report() -> str:
    """Run both posteriors, and return a table."""
    lines = [
        f"NUTS, {NUM_WARMUP} steps of warm-up and {NUM_SAMPLES} draws, one chain; least ESS of any choice",
        f"  {'':<32}{'ESS a second':>14}{'ms a run':>10}{'us a leapfrog':>15}{'first, s':>14}{'target':>10}",
    ]
    return "\n".join([*lines, *map(_row, workloads())])


def _row(workload: Workload) -> str:
    kernel = adaptive_nuts()

    def run() -> Chains[Any]:
        return mcmc(
            workload.model,
            workload.observations,
            kernel,
            num_samples=NUM_SAMPLES,
            num_warmup=NUM_WARMUP,
            compile=True,
            progress=False,
        )

    start = perf_counter()
    run()
    first = perf_counter() - start
    rates, seconds, leapfrogs = [], [], []
    for _ in range(NUM_RUNS):
        start = perf_counter()
        chains = run()
        seconds.append(perf_counter() - start)
        rates.append(_least(chains) / seconds[-1])
        leapfrogs.append(float(chains.statistics["num_leapfrogs"].sum()))
    each = median(seconds) / median(leapfrogs) * NUM_SAMPLES / (NUM_SAMPLES + NUM_WARMUP)
    verdict = "met" if median(rates) >= workload.target else "MISSED"
    return (
        f"  {workload.name:<32}{median(rates):>14.0f}{median(seconds) * 1e3:>10.0f}{each * 1e6:>15.1f}"
        f"{first:>14.1f}{workload.target:>10.0f} {verdict}"
    )


def _least(chains: Chains[Any]) -> float:
    """Return the least effective sample size of any element of any choice."""
    return min(float(effective_sample_size(draws).min()) for draws in chains.draws.values())
