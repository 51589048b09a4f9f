"""Laplace's approximation: exact for Gaussians, corrected by weights elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gen_core import select
from gen_distributions import bernoulli, beta, exponential, normal
from gen_dml import gen
from gen_inflib import LaplaceError, laplace

XS = torch.linspace(-1.0, 1.0, 10)


@gen
def line(xs: Tensor) -> None:
    intercept = normal(0.0, 1.0) @ "intercept"
    slope = normal(0.0, 2.0) @ "slope"
    normal(intercept + slope * xs, 0.5) @ "ys"


@gen
def tosses() -> None:
    chance = beta(2.0, 3.0) @ "chance"
    for i in range(5):
        bernoulli(chance) @ ("toss", i)


TOSSES = {("toss", i): i < 4 for i in range(5)}
LOG_BETAS = [math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) for a, b in [(2, 3), (6, 4)]]


def test_it_is_exact_for_a_linear_model_with_normal_noise() -> None:
    torch.manual_seed(0)
    ys = 0.5 + 1.5 * XS

    found = laplace(line(XS), {"ys": ys})

    design = torch.stack([torch.ones(10), XS], 1).double()
    prior = torch.diag(torch.tensor([1.0, 4.0])).double()
    covariance = torch.linalg.inv(torch.linalg.inv(prior) + design.mT @ design / 0.25)
    marginal = torch.distributions.MultivariateNormal(
        torch.zeros(10).double(), 0.25 * torch.eye(10).double() + design @ prior @ design.mT
    )
    assert float(found.log_marginal_likelihood) == pytest.approx(
        float(marginal.log_prob(ys.double())), abs=1e-3
    )
    torch.testing.assert_close(found.covariance.double(), covariance, rtol=1e-3, atol=1e-5)
    expected = covariance @ design.mT @ ys.double() / 0.25
    torch.testing.assert_close(found.position.double(), expected, rtol=1e-3, atol=1e-3)
    # Then all weights are equal, and none of the samples is worth more than another.
    samples = found.sample(50)
    evidence = float(found.log_marginal_likelihood)
    assert repr(found) == f"<Gaussian of 2 numbers for line: log evidence {evidence:.6g}>"
    assert float(samples.effective_sample_size) == pytest.approx(50.0, rel=1e-2)
    assert float(samples.log_marginal_likelihood) == pytest.approx(
        float(marginal.log_prob(ys.double())), abs=1e-2
    )


def test_weights_correct_it_elsewhere() -> None:
    torch.manual_seed(0)

    found = laplace(tosses(), TOSSES)
    samples = found.sample(2000)

    evidence = LOG_BETAS[1] - LOG_BETAS[0]
    assert float(found.log_marginal_likelihood) == pytest.approx(evidence, abs=0.05)
    weights = samples.log_weights.exp()
    error = (2000 * weights).std() / math.sqrt(2000)
    assert abs(float(samples.log_marginal_likelihood) - evidence) < 4 * float(error)
    values = torch.stack([trace["chance"] for trace in samples.traces])
    mean = samples.expectation(lambda trace: trace["chance"])
    standard_error = (weights * (values - mean)).square().sum().sqrt()
    assert abs(float(mean) - 0.6) < 4 * float(standard_error)


def test_models_that_branch_are_sampled_one_by_one() -> None:
    @gen
    def branching() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(x if x > 5 else 0.5 * x, 1.0) @ "y"

    torch.manual_seed(0)
    samples = laplace(branching(), {"y": 1.0}).sample(20)

    assert samples.why_looped is not None
    assert float(samples.effective_sample_size) == pytest.approx(20.0, rel=1e-2)


def test_finite_choices_are_summed_over() -> None:
    @gen
    def mixture() -> None:
        which = bernoulli(0.3) @ "which"
        loc = normal(1.0, 1.0) @ "loc"
        normal(torch.where(which, loc + 0.1, loc), 1.0) @ "y"

    torch.manual_seed(0)
    found = laplace(mixture(), {"y": 1.5}, enumerate=select("which"))

    densities = [
        p * math.exp(-((1.5 - mean) ** 2) / 4) / math.sqrt(4 * math.pi)
        for p, mean in [(0.7, 1.0), (0.3, 1.1)]
    ]
    assert float(found.log_marginal_likelihood) == pytest.approx(math.log(sum(densities)), abs=1e-3)


def test_compiled_it_is_the_same_gaussian() -> None:
    ys = 0.5 + 1.5 * XS
    found = []
    for compile in (False, True):
        torch.manual_seed(0)
        found.append(laplace(line(XS), {"ys": ys}, compile=compile))

    eager, compiled = found
    torch.testing.assert_close(compiled.position, eager.position, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(compiled.covariance, eager.covariance, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        compiled.log_marginal_likelihood, eager.log_marginal_likelihood, rtol=1e-4, atol=1e-4
    )


def test_a_density_without_a_mode_is_refused() -> None:
    @gen
    def flat() -> None:
        # On the real line, its density falls forever in one direction and rises in the other.
        x = exponential(1.0) @ "x"
        normal(x.log(), 1.0) @ "y"
        normal(-2.0 * x.log().abs(), 0.1) @ "z"

    torch.manual_seed(0)

    with pytest.raises(LaplaceError, match=r"of flat (ended|is not curved)"):
        laplace(flat(), {"y": 40.0, "z": 3.0}, num_steps=2)
