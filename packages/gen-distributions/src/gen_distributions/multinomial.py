"""The multinomial distribution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_core.shapes import broadcast_shapes, shape_of
from gen_distributions.categorical import category_weights, weights_requirement
from gen_distributions.enumeration import list_values
from gen_distributions.family import TensorFamily
from gen_distributions.odds import exactly_one
from gen_distributions.tensors import (
    IntegerLike,
    VectorLike,
    nan_unless,
    on_support,
    promote,
    weighted_log,
)


@final
@dataclass(frozen=True)
class Multinomial(TensorFamily):
    """Probability n! prod_k p_k^(x_k) / x_k! of the counts x of n draws from k categories.

    Parameters:
        total_count: The number of draws n, a nonnegative integer.
        probs: Nonnegative weights of the categories, shape `[..., k]`; they need not sum to 1; or
        logits: Logarithms of weights.
    """

    name = "multinomial"
    event_dim = 1
    is_discrete = True
    is_enumerable = True
    value_dtype = torch.int64
    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.independent(constraints.nonnegative, 1),
        "logits": constraints.real_vector,
    }

    def support(
        self, total_count: IntegerLike, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> Constraint:
        """Return the vectors of counts with sum `total_count`."""
        return Counts(total_count)

    def event_shape(
        self, total_count: IntegerLike, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> tuple[int, ...]:
        """Return `(k,)`."""
        return shape_of(exactly_one(self.name, probs=probs, logits=logits))[-1:]

    def sample(
        self, total_count: IntegerLike, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> Tensor:
        """Draw one vector of counts for each vector of weights."""
        weights = category_weights(self.name, probs, logits)
        if not isinstance(total_count, int):
            return _draw_in_turn(torch.as_tensor(total_count), weights)
        rows = weights.reshape(-1, weights.shape[-1])
        counts = torch.zeros_like(rows, dtype=torch.int64)
        if total_count > 0:
            draws = torch.multinomial(rows, total_count, replacement=True)
            counts = counts.scatter_add(-1, draws, torch.ones_like(draws))
        return counts.reshape(weights.shape)

    def log_prob(
        self,
        value: Tensor,
        /,
        total_count: IntegerLike,
        probs: VectorLike | None = None,
        logits: VectorLike | None = None,
    ) -> Tensor:
        """Return the log probability of each vector of counts, -inf where its sum is not `total_count`."""
        (weights,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        total = torch.as_tensor(total_count, dtype=weights.dtype, device=weights.device)
        inside = (value >= 0).all(-1) & (value.sum(-1) == total)
        counts = torch.where(inside.unsqueeze(-1), value, 0).to(weights.dtype)
        arrangements = torch.lgamma(total + 1) - torch.lgamma(counts + 1).sum(-1)
        if logits is not None:
            # A category that was never drawn adds 0, even if its logit is -inf.
            chosen = torch.where(counts == 0, 0.0, weights)
            return on_support(
                inside, arrangements + (counts * chosen).sum(-1) - total * weights.logsumexp(-1)
            )
        mass = weighted_log(counts, weights).sum(-1) - total * weights.sum(-1).log()
        return on_support(inside, nan_unless((weights >= 0).all(-1), arrangements + mass))

    def enumerate_support(
        self, total_count: IntegerLike, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> list[Tensor]:
        """Return every vector of counts with sum `total_count`, or all their combinations."""
        weights = category_weights(self.name, probs, logits)
        totals = torch.as_tensor(total_count).expand(weights.shape[:-1])
        options = [
            torch.tensor(_compositions(total, weights.shape[-1]), device=weights.device)
            for total in totals.flatten().tolist()
        ]
        return list_values(self.name, options, weights.shape[:-1])

    def requirements(
        self, total_count: IntegerLike, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> Iterable[Requirement]:
        """Return that the count is a nonnegative integer and the weights have a positive sum."""
        (weights,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        is_count = constraints.nonnegative_integer.check(torch.as_tensor(total_count))
        yield Requirement("total_count", "a nonnegative integer", is_count)
        if logits is None:
            yield weights_requirement("probs", weights)
        else:
            yield Requirement("logits", "numbers, not all of them -inf", weights.logsumexp(-1).isfinite())


def _draw_in_turn(total_count: Tensor, weights: Tensor) -> Tensor:
    """Draw one category's count after the other, each a binomial of what is left.

    Unlike drawing outcomes one by one, this allows a different count in each element of a batch.
    """
    shape = broadcast_shapes(total_count.shape, weights.shape[:-1])
    left = total_count.to(weights.dtype).expand(shape)
    # Sums from the right: what is left of the probability before each category.
    tails = weights.flip(-1).cumsum(-1).flip(-1)
    counts = []
    for weight, tail in zip(weights.unbind(-1), tails.unbind(-1), strict=True):
        share = torch.where(tail > 0, weight / tail, 0.0).clamp(max=1.0)
        drawn = torch.binomial(left, share.expand(shape))
        counts.append(drawn)
        left = left - drawn
    return torch.stack(counts, -1).long()


def _compositions(total: int, parts: int) -> list[list[int]]:
    """Return every list of `parts` nonnegative integers with sum `total`."""
    if parts == 1:
        return [[total]]
    return [[first, *rest] for first in range(total + 1) for rest in _compositions(total - first, parts - 1)]


@final
class Counts(Constraint):
    """Vectors of counts with a given sum."""

    is_discrete = True
    event_dim = 1

    def __init__(self, total_count: IntegerLike) -> None:
        self.total_count = total_count
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Return which vectors hold nonnegative integers with the given sum."""
        return (value >= 0).all(-1) & (value % 1 == 0).all(-1) & (value.sum(-1) == self.total_count)


multinomial = Distribution(Multinomial())
