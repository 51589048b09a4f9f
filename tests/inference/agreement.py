"""Checks that what an algorithm found agrees with a known answer, within four standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gen_inflib import Weighted, mcmc
from known_answers import Problem

NUM_STANDARD_ERRORS = 4.0


def check_weighted(weighted: Weighted[Any], problem: Problem) -> None:
    """Check independent particles: both numbers by the delta method, for a ratio of means."""
    weights = weighted.log_weights.exp()
    values = torch.stack([torch.as_tensor(problem.statistic(trace)).double() for trace in weighted.traces])
    estimate = weighted.expectation(problem.statistic)
    standard_error = (weights * (values - estimate)).square().sum().sqrt()
    assert abs(estimate - problem.posterior_mean) < NUM_STANDARD_ERRORS * standard_error
    relative_error = (len(weights) * weights).std() / math.sqrt(len(weights))
    log_error = abs(weighted.log_marginal_likelihood - problem.log_evidence)
    assert log_error < NUM_STANDARD_ERRORS * relative_error


def check_runs(values: Tensor, log_evidences: Tensor, problem: Problem) -> None:
    """Check independent runs, whose bias is well inside four standard errors of their mean."""
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - problem.posterior_mean) < NUM_STANDARD_ERRORS * error
    ratios = (log_evidences - problem.log_evidence).exp()
    assert abs(ratios.mean() - 1) < NUM_STANDARD_ERRORS * ratios.std() / math.sqrt(len(ratios))


def check_chains(problem: Problem, kernel: Any) -> None:
    """Run independent chains side by side, and check the mean and the variance of the statistic."""
    chains = mcmc(
        problem.model,
        problem.observations,
        kernel,
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
        standard_error = means.std() / math.sqrt(len(means))
        assert math.isnan(known) or abs(means.mean() - known) < NUM_STANDARD_ERRORS * standard_error


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set torch's default dtype for a while."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
