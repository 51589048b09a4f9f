"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution, Requirement
from gen_distributions.family import TensorFamily
from gen_distributions.odds import exactly_one, log_odds_mass, success_probs
from gen_distributions.tensors import TensorLike, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class Geometric(TensorFamily):
    """Probability (1 - p)^k p of k = 0, 1, 2, ... failures before the first success, as an integer tensor.

    Parameters, exactly one of them:
        probs: The probability of success p, positive and at most 1.
        logits: log(p / (1 - p)).
    """

    name = "geometric"
    is_discrete = True
    value_dtype = torch.int64
    fixed_support = constraints.nonnegative_integer
    arg_constraints = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def sample(self, probs: TensorLike | None = None, logits: TensorLike | None = None) -> Tensor:
        """Draw one count of the shape of the parameter."""
        chance = success_probs(self.name, probs, logits)
        return (torch.log1p(-torch.rand_like(chance)) / torch.log1p(-chance)).long()

    def log_prob(
        self, value: Tensor, /, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> Tensor:
        """Return the log probability of each count, -inf below 0."""
        (given,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        inside = value >= 0
        failures = torch.where(inside, value, 0).to(given.dtype)
        log_prob = log_odds_mass(self.name, torch.ones_like(failures), failures, probs, logits)
        return on_support(inside, log_prob if logits is not None else nan_unless(given > 0, log_prob))

    def requirements(
        self, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> Iterable[Requirement]:
        """Return that `probs` is positive and at most 1, or `logits` a number."""
        (given,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        if logits is not None:
            return [Requirement("logits", "a number", constraints.real.check(given))]
        return [Requirement("probs", "positive and at most 1", (given > 0) & (given <= 1))]


geometric = Distribution(Geometric())
