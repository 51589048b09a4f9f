"""The Laplace distribution."""

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


@final
@dataclass(frozen=True)
class Laplace(TensorFamily):
    """Density exp(-|x - loc| / scale) / (2 scale) over the real numbers.

    Parameters:
        loc: The mean, any real number.
        scale: The mean distance from `loc`, positive.
    """

    name = "laplace"
    invalid_is_nan = True
    has_rsample = True
    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def sample(self, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        loc, scale = promote(loc, scale)
        signed = standard_uniform(loc, scale) - 0.5
        tail = (1 - 2 * signed.abs()).clamp(min=torch.finfo(signed.dtype).eps / 4)
        return loc - scale * signed.sign() * tail.log()

    def log_prob(self, value: Tensor, /, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Return the log density of each element."""
        value, loc, scale = promote(value, loc, scale)
        return -(value - loc).abs() / scale - (2 * scale).log()

    def log_prob_of_numbers(self, value: float, /, loc: float, scale: float) -> float:
        """Return the same for one value, from Python numbers."""
        return -abs(value - loc) / scale - math.log(2 * scale)


laplace = Distribution(Laplace())
