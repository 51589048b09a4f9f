"""The negative binomial distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.odds import exactly_one, log_odds_mass
from gen_distributions.tensors import (
    TensorLike,
    broadcast_shape,
    nan_unless,
    on_support,
    promote,
    standard_gamma,
)


@final
@dataclass(frozen=True)
class NegativeBinomial(TensorFamily):
    """Probability C(k + r - 1, k) (1 - p)^r p^k of k successes before the r-th failure, as an integer tensor.

    This is torch's meaning. Gen.jl and scipy count failures before the r-th success: their p is 1 - p.

    Parameters:
        total_count: The number of failures r, positive; it need not be an integer.
        probs: The probability of success p, at least 0 and below 1; or
        logits: log(p / (1 - p)).
    """

    name = "negative_binomial"
    is_discrete = True
    value_dtype = torch.int64
    fixed_support = constraints.nonnegative_integer
    arg_constraints = {
        "total_count": constraints.positive,
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }

    def sample(
        self, total_count: TensorLike, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> Tensor:
        """Draw one count of the shape that the parameters broadcast to, as a Poisson of a gamma."""
        failures, given = promote(total_count, exactly_one(self.name, probs=probs, logits=logits))
        odds = given / (1 - given) if logits is None else given.exp()
        shape = broadcast_shape(failures, given)
        return torch.poisson((standard_gamma(failures.expand(shape)) * odds).detach()).long()

    def log_prob(
        self,
        value: Tensor,
        /,
        total_count: TensorLike,
        probs: TensorLike | None = None,
        logits: TensorLike | None = None,
    ) -> Tensor:
        """Return the log probability of each count, -inf below 0."""
        failures, given = promote(total_count, exactly_one(self.name, probs=probs, logits=logits))
        inside = value >= 0
        successes = torch.where(inside, value, 0).to(torch.promote_types(failures.dtype, given.dtype))
        log_prob = (
            torch.lgamma(successes + failures)
            - torch.lgamma(successes + 1)
            - torch.lgamma(failures)
            + log_odds_mass(self.name, successes, failures, probs, logits)
        )
        valid = (failures > 0) if logits is not None else (failures > 0) & (given < 1)
        return on_support(inside, nan_unless(valid, log_prob))


negative_binomial = Distribution(NegativeBinomial())
