"""The binomial distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution
from gen_distributions.enumeration import list_integers
from gen_distributions.family import TensorFamily
from gen_distributions.odds import log_odds_mass, success_probs
from gen_distributions.tensors import IntegerLike, TensorLike, broadcast, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class Binomial(TensorFamily):
    """Probability C(n, k) p^k (1 - p)^(n - k) of k successes in n trials, as an integer tensor.

    Parameters:
        total_count: The number of trials n, a nonnegative integer.
        probs: The probability of success p, between 0 and 1; or
        logits: log(p / (1 - p)).
    """

    name = "binomial"
    is_discrete = True
    is_enumerable = True
    value_dtype = torch.int64
    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def support(
        self, total_count: IntegerLike, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> Constraint:
        """Return the integers from 0 to `total_count`."""
        return constraints.integer_interval(0, total_count)

    def sample(
        self, total_count: IntegerLike, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> Tensor:
        """Draw one count of the shape that the parameters broadcast to."""
        chance = success_probs(self.name, probs, logits)
        trials, chance = broadcast(*promote(total_count, chance))
        # Under vmap, torch.binomial needs trials that are as batched as the chance is.
        return torch.binomial(trials.detach() + torch.zeros_like(chance), chance).long()

    def log_prob(
        self,
        value: Tensor,
        /,
        total_count: IntegerLike,
        probs: TensorLike | None = None,
        logits: TensorLike | None = None,
    ) -> Tensor:
        """Return the log probability of each count, -inf outside 0 ... total_count."""
        chance = logits if probs is None else probs
        trials, *_ = promote(total_count, 0.0 if chance is None else chance)
        inside = (value >= 0) & (value <= trials)
        successes = torch.where(inside, value, 0).to(trials.dtype)
        log_prob = (
            torch.lgamma(trials + 1)
            - torch.lgamma(successes + 1)
            - torch.lgamma(trials - successes + 1)
            + log_odds_mass(self.name, successes, trials - successes, probs, logits)
        )
        return on_support(inside, nan_unless(trials >= 0, log_prob))

    def enumerate_support(
        self, total_count: IntegerLike, probs: TensorLike | None = None, logits: TensorLike | None = None
    ) -> list[Tensor]:
        """Return the integers from 0 to `total_count`, or all their combinations."""
        chance = success_probs(self.name, probs, logits)
        trials, _ = broadcast(torch.as_tensor(total_count), chance)
        return list_integers(self.name, torch.zeros_like(trials), trials)


binomial = Distribution(Binomial())
