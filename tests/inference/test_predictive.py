"""Predictive draws and pointwise densities, from draws of chains."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from gen_core import MissingChoiceError, UnvisitedConstraintsError, select
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_inflib import (
    importance_sampling,
    mcmc,
    metropolis_hastings,
    pointwise_log_likelihood,
    posterior_predictive,
    prior_predictive,
    to_arviz,
)


@gen
def line(xs: Tensor) -> None:
    slope = normal(0.0, 2.0) @ "slope"
    normal(slope * xs, 0.1) @ "ys"


@gen
def branching() -> None:
    if bernoulli(0.5) @ "z":
        normal(0.0, 1.0) @ "x"
    else:
        normal(10.0, 1.0) @ "x"


XS = torch.tensor([1.0, 2.0, 3.0])
DRAWS = {"slope": torch.arange(8.0).reshape(2, 4)}


def test_prior_predictive_draws_every_choice() -> None:
    torch.manual_seed(0)

    choices = prior_predictive(line(XS), num_samples=2000)

    assert choices["ys"].shape == (2000, 3)
    # The standard deviation of ys[0] is sqrt(4.01); that of its estimate is a 63rd of it.
    assert float(choices["ys"][:, 0].std()) == pytest.approx(4.01**0.5, rel=4 / 63)


def test_prior_predictive_runs_models_that_do_not_batch_in_a_loop() -> None:
    torch.manual_seed(0)

    with pytest.warns(match="It runs in a loop instead"):
        choices = prior_predictive(branching(), num_samples=20)

    assert bool(((choices["x"] < 5) == choices["z"]).all())


def test_posterior_predictive_follows_each_draw_at_new_inputs() -> None:
    torch.manual_seed(0)

    predicted = posterior_predictive(line(torch.tensor([10.0])), DRAWS)

    assert predicted.keys() == ["ys"]
    assert predicted["ys"].shape == (2, 4, 1)
    assert bool(((predicted["ys"][..., 0] - 10 * DRAWS["slope"]).abs() < 0.6).all())  # six sigma


def test_posterior_predictive_names_draws_that_the_model_does_not_make() -> None:
    with pytest.raises(UnvisitedConstraintsError, match="'slop'"):
        posterior_predictive(line(XS), {"slop": torch.zeros(1, 4)})


def test_pointwise_log_likelihood_is_the_density_of_each_element() -> None:
    ys = torch.tensor([1.0, 2.1, 2.9])

    found = pointwise_log_likelihood(line(XS), {"ys": ys}, DRAWS)

    expected = torch.distributions.Normal(DRAWS["slope"][..., None] * XS, 0.1).log_prob(ys)
    assert torch.allclose(found["ys"], expected, rtol=1e-5)


def test_pointwise_log_likelihood_refuses_draws_that_lack_a_choice() -> None:
    with pytest.raises(MissingChoiceError, match="slope"):
        pointwise_log_likelihood(line(XS), {"ys": XS}, {"other": torch.zeros(1, 4)})


def test_chains_export_to_arviz() -> None:
    pytest.importorskip("arviz_base")
    found = pointwise_log_likelihood(line(XS), {"ys": XS}, DRAWS)
    kernel = partial(metropolis_hastings, proposal=select("slope"))
    chains = mcmc(line(XS), {"ys": XS}, kernel, num_samples=4, num_chains=2)

    tree = to_arviz(chains, observations={"ys": XS}, log_likelihood=found)

    assert tree["posterior"]["slope"].shape == (2, 4)
    assert tree["sample_stats"]["lp"].shape == (2, 4)
    assert tree["log_likelihood"]["ys"].shape == (2, 4, 3)
    assert tree["observed_data"]["ys"].shape == (3,)


def test_weighted_particles_export_as_one_chain_with_weights() -> None:
    pytest.importorskip("arviz_base")
    torch.manual_seed(0)
    weighted = importance_sampling(line(XS), {"ys": XS}, num_particles=10)

    tree = to_arviz(weighted)

    assert tree["posterior"]["slope"].shape == (1, 10)
    assert float(np.exp(tree["sample_stats"]["log_weight"]).sum()) == pytest.approx(1.0)
