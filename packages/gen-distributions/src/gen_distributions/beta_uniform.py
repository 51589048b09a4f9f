"""The mixture of a beta and the uniform distribution on the unit interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.beta import beta_log_prob, draw_beta
from gen_distributions.family import TensorFamily
from gen_distributions.mixture import log_mixture
from gen_distributions.tensors import TensorLike, broadcast, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class BetaUniform(TensorFamily):
    """With probability theta beta(alpha, beta), else uniform(0, 1): Gen.jl's `beta_uniform`.

    Density theta Beta(x; alpha, beta) + (1 - theta) over [0, 1].

    Parameters:
        theta: The probability of the beta component, between 0 and 1.
        alpha: The first concentration, positive.
        beta: The second concentration, positive.
    """

    name = "beta_uniform"
    fixed_support = constraints.unit_interval
    arg_constraints = {
        "theta": constraints.unit_interval,
        "alpha": constraints.positive,
        "beta": constraints.positive,
    }

    def sample(self, theta: TensorLike, alpha: TensorLike, beta: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        theta, alpha, beta = broadcast(*promote(theta, alpha, beta))
        is_beta = torch.rand_like(theta) < theta
        return torch.where(is_beta, draw_beta(alpha, beta), torch.rand_like(theta))

    def log_prob(self, value: Tensor, /, theta: TensorLike, alpha: TensorLike, beta: TensorLike) -> Tensor:
        """Return the log density of each element, -inf outside [0, 1]."""
        value, theta, alpha, beta = promote(value, theta, alpha, beta)
        inside = (value >= 0) & (value <= 1)
        log_prob = beta_log_prob(torch.where(inside, value, 0.5), alpha, beta)
        components = torch.stack([log_prob, torch.zeros_like(log_prob)], -1)
        mixed = log_mixture(torch.stack([theta, 1 - theta], -1), components)
        return on_support(inside, nan_unless((theta >= 0) & (theta <= 1), mixed))


beta_uniform = Distribution(BetaUniform())
