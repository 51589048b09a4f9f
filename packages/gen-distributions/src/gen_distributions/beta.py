"""The beta distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import (
    TensorLike,
    all_positive,
    broadcast,
    log_standard_gamma,
    nan_unless,
    on_support,
    promote,
)


@final
@dataclass(frozen=True)
class Beta(TensorFamily):
    """Density x^(a - 1) (1 - x)^(b - 1) / B(a, b) over [0, 1].

    Parameters:
        concentration1: a (alpha), positive.
        concentration0: b (beta), positive.
    """

    name = "beta"
    invalid_is_nan = True
    has_rsample = True
    fixed_support = constraints.unit_interval
    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }

    def sample(self, concentration1: TensorLike, concentration0: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        if type(concentration1) is type(concentration0) is float:
            return _draw(torch.tensor((concentration1, concentration0)))
        return draw_beta(*promote(concentration1, concentration0))

    def log_prob(self, value: Tensor, /, concentration1: TensorLike, concentration0: TensorLike) -> Tensor:
        """Return the log density of each element, -inf outside [0, 1]."""
        return beta_log_prob(*promote(value, concentration1, concentration0))

    def log_prob_of_numbers(self, value: float, /, concentration1: float, concentration0: float) -> float:
        """Return the same for one value, from Python numbers."""
        if not (concentration1 > 0 and concentration0 > 0):
            return math.nan
        kernel = (concentration1 - 1) * math.log(value) + (concentration0 - 1) * math.log1p(-value)
        return kernel + _log_normaliser(concentration1, concentration0)


def draw_beta(concentration1: Tensor, concentration0: Tensor) -> Tensor:
    """Draw from beta(concentration1, concentration0), differentiably."""
    return _draw(torch.stack(broadcast(concentration1, concentration0)))


def _draw(concentrations: Tensor) -> Tensor:
    first, second = log_standard_gamma(concentrations).unbind()
    draw = torch.sigmoid(first - second)
    limits = torch.finfo(draw.dtype)
    return draw.clamp(limits.tiny, 1 - limits.eps / 2)


def _log_normaliser(concentration1: float, concentration0: float) -> float:
    both = math.lgamma(concentration1 + concentration0)
    return both - math.lgamma(concentration1) - math.lgamma(concentration0)


def beta_log_prob(value: Tensor, concentration1: Tensor, concentration0: Tensor) -> Tensor:
    """Return the log density of beta(concentration1, concentration0)."""
    inside = (value >= 0) & (value <= 1)
    safe = torch.where(inside, value, 0.5)
    log_prob = (
        torch.xlogy(concentration1 - 1, safe)
        + torch.special.xlog1py(concentration0 - 1, -safe)
        + torch.lgamma(concentration1 + concentration0)
        - torch.lgamma(concentration1)
        - torch.lgamma(concentration0)
    )
    return on_support(inside, nan_unless(all_positive(concentration1, concentration0), log_prob))


beta = Distribution(Beta())
