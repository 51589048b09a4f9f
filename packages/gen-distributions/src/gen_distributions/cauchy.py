"""The Cauchy distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, promote, standard_uniform

LOG_PI = math.log(math.pi)


@final
@dataclass(frozen=True)
class Cauchy(TensorFamily):
    """Density 1 / (pi scale (1 + ((x - loc) / scale)^2)) over the real numbers.

    Parameters:
        loc: The median, any real number.
        scale: Half of the distance between the quartiles, positive.
    """

    name = "cauchy"
    invalid_is_nan = True
    has_rsample = True
    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def sample(self, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        loc, scale = promote(loc, scale)
        return loc + scale * torch.tan(math.pi * (standard_uniform(loc, scale) - 0.5))

    def log_prob(self, value: Tensor, /, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Return the log density of each element."""
        value, loc, scale = promote(value, loc, scale)
        return -torch.log1p(((value - loc) / scale).square()) - scale.log() - LOG_PI

    def log_prob_of_numbers(self, value: float, /, loc: float, scale: float) -> float:
        """Return the same for one value, from Python numbers."""
        return -math.log1p(((value - loc) / scale) ** 2) - math.log(scale) - LOG_PI


cauchy = Distribution(Cauchy())
