"""MALA: the proposal and its correction, written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gen_core import select
from gen_distributions import gamma, normal
from gen_dml import gen
from gen_inflib import Unconstrained, dense_metric, mala

COVARIANCE = torch.tensor([[0.6, 0.2], [0.2, 0.9]])


@gen
def model() -> None:
    scale = gamma(3.0, 2.0) @ "scale"
    x = normal(0.0, scale) @ "x"
    normal(x, 0.5) @ "y"


@pytest.mark.parametrize("seed", range(4))
def test_the_ratio_is_that_of_the_densities_and_of_both_proposals(seed: int) -> None:
    torch.manual_seed(seed)
    trace = model.generate({"y": 1.0}).trace
    latent, step = select("scale", "x"), 0.3
    metric = dense_metric(COVARIANCE)
    view = Unconstrained(trace, latent)

    def proposal(position: Tensor) -> torch.distributions.MultivariateNormal:
        drift = step**2 / 2 * COVARIANCE @ view.scored(position).gradient
        return torch.distributions.MultivariateNormal(position + drift, step**2 * COVARIANCE)

    torch.manual_seed(100 + seed)
    noise = normal.sample(torch.zeros(2), 1.0)
    start = view.position
    end = proposal(start).loc + step * COVARIANCE @ metric.momentum(noise)
    torch.manual_seed(100 + seed)
    new, info = mala(trace, latent, step_size=step, metric=metric)

    expected = view.log_density(end) - view.log_density(start)
    expected = expected + proposal(end).log_prob(start) - proposal(start).log_prob(end)
    torch.testing.assert_close(info.log_acceptance_ratio, expected, rtol=1e-4, atol=1e-4)
    if info.accepted:
        torch.testing.assert_close(Unconstrained(new, latent).position, end)
