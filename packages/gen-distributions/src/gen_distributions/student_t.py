"""Student's t distribution."""

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
    broadcast_shape,
    nan_unless,
    promote,
    standard_gamma,
    standard_normal,
)

HALF_LOG_PI = 0.5 * math.log(math.pi)


@final
@dataclass(frozen=True)
class StudentT(TensorFamily):
    """Density proportional to (1 + ((x - loc) / scale)^2 / df)^(-(df + 1) / 2) over the real numbers.

    Parameters:
        df: The degrees of freedom, positive.
        loc: The centre, any real number.
        scale: Positive; not the standard deviation.
    """

    name = "student_t"
    invalid_is_nan = True
    has_rsample = True
    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def sample(self, df: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        df, loc, scale = promote(df, loc, scale)
        half_df = (df / 2).expand(broadcast_shape(df, loc, scale))
        return loc + scale * standard_normal(df, loc, scale) * (standard_gamma(half_df) / half_df).rsqrt()

    def log_prob(
        self, value: Tensor, /, df: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0
    ) -> Tensor:
        """Return the log density of each element."""
        value, df, loc, scale = promote(value, df, loc, scale)
        whitened = (value - loc) / scale
        log_prob = (
            torch.lgamma((df + 1) / 2)
            - torch.lgamma(df / 2)
            - (df + 1) / 2 * torch.log1p(whitened.square() / df)
            - df.log() / 2
            - HALF_LOG_PI
            - scale.log()
        )
        return nan_unless(df > 0, log_prob)

    def log_prob_of_numbers(self, value: float, /, df: float, loc: float, scale: float) -> float:
        """Return the same for one value, from Python numbers."""
        tail = (df + 1) / 2 * math.log1p(((value - loc) / scale) ** 2 / df)
        gammas = math.lgamma((df + 1) / 2) - math.lgamma(df / 2)
        return gammas - tail - math.log(df) / 2 - HALF_LOG_PI - math.log(scale)


student_t = Distribution(StudentT())
