"""The Bernoulli distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.enumeration import list_values
from gen_distributions.family import TensorFamily
from gen_distributions.odds import exactly_one, log_sigmoid, success_probs
from gen_distributions.tensors import TensorLike, indicator, nan_unless, promote


@final
@dataclass(frozen=True)
class Bernoulli(TensorFamily):
    """True with probability p, as a tensor of booleans.

    Parameters, exactly one of them:
        probs: p, between 0 and 1.
        logits: log(p / (1 - p)), any real number.
    """

    name = "bernoulli"
    invalid_is_nan = True
    is_discrete = True
    is_enumerable = True
    value_dtype = torch.bool
    fixed_support = constraints.boolean
    arg_constraints = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def sample(self, probs: TensorLike | None = None, logits: TensorLike | None = None) -> Tensor:
        """Draw one value of the shape of the parameter."""
        if logits is None and isinstance(probs, float):
            return torch.rand(()) < probs
        chance = success_probs(self.name, probs, logits)
        return torch.rand_like(chance) < chance

    def log_prob(
        self, value: Tensor, /, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> Tensor:
        """Return log p for each element that is true, log(1 - p) for the others."""
        (given,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        if logits is not None:
            # The sign as a factor: half the time of torch.where and its gradient.
            return log_sigmoid(given * torch.rsub(indicator(value, given.dtype), -1, alpha=-2))
        return nan_unless((given >= 0) & (given <= 1), torch.where(value, given, 1 - given).log())

    def log_prob_of_numbers(self, value: bool, /, probs: float | None, logits: float | None) -> float:
        """Return the same for one value, from Python numbers."""
        if probs is None and logits is not None:
            signed = logits if value else -logits
            return min(signed, 0.0) - math.log1p(math.exp(-abs(signed)))
        if probs is None or logits is not None or not 0 <= probs <= 1:
            return math.nan
        return math.log(probs) if value else math.log1p(-probs)

    def enumerate_support(
        self, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> list[Tensor]:
        """Return False and True, or all their combinations."""
        chance = success_probs(self.name, probs, logits)
        return list_values(self.name, [torch.tensor([False, True], device=chance.device)], chance.shape)


bernoulli = Distribution(Bernoulli())
