"""The chi-squared distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.gamma import gamma_log_prob
from gen_distributions.tensors import TensorLike, promote, standard_gamma


@final
@dataclass(frozen=True)
class Chi2(TensorFamily):
    """The sum of df squared standard normals, that is gamma(df / 2, 1 / 2).

    Parameters:
        df: The degrees of freedom, positive.
    """

    name = "chi2"
    has_rsample = True
    fixed_support = constraints.nonnegative
    arg_constraints = {"df": constraints.positive}

    def sample(self, df: TensorLike) -> Tensor:
        """Draw one value of the shape of `df`."""
        (df,) = promote(df)
        return 2 * standard_gamma(df / 2)

    def log_prob(self, value: Tensor, /, df: TensorLike) -> Tensor:
        """Return the log density of each element, -inf below 0."""
        value, df = promote(value, df)
        return gamma_log_prob(value, df / 2, torch.full_like(df, 0.5))


chi2 = Distribution(Chi2())
