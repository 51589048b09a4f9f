"""The categorical distribution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_core.shapes import broadcast_shapes
from gen_distributions.enumeration import list_values
from gen_distributions.family import TensorFamily
from gen_distributions.odds import exactly_one
from gen_distributions.tensors import VectorLike, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class Categorical(TensorFamily):
    """An index k from 0 with probability probs[k] / sum(probs), as an integer tensor.

    Parameters, exactly one of them, with the categories along the last dimension:
        probs: Nonnegative weights, not all of them 0; they need not sum to 1.
        logits: Logarithms of weights; -inf for a category that cannot be.
    """

    name = "categorical"
    invalid_is_nan = True
    is_discrete = True
    is_enumerable = True
    value_dtype = torch.int64
    arg_constraints = {
        "probs": constraints.independent(constraints.nonnegative, 1),
        "logits": constraints.real_vector,
    }

    def support(self, probs: VectorLike | None = None, logits: VectorLike | None = None) -> Constraint:
        """Return the indices of the categories."""
        (weights,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        return constraints.integer_interval(0, weights.shape[-1] - 1)

    def sample(self, probs: VectorLike | None = None, logits: VectorLike | None = None) -> Tensor:
        """Draw one index for each vector of weights."""
        return draw_index(category_weights(self.name, probs, logits))

    def log_prob(
        self, value: Tensor, /, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> Tensor:
        """Return the log probability of each index."""
        (weights,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        num_categories = weights.shape[-1]
        inside = (value >= 0) & (value < num_categories)
        safe = torch.where(inside, value, 0)
        if logits is not None:
            log_prob = pick(weights, safe) - weights.logsumexp(-1)
        else:
            valid = (weights >= 0).all(-1)
            log_prob = nan_unless(valid, pick(weights, safe).log() - weights.sum(-1).log())
        return on_support(inside, log_prob)

    def enumerate_support(
        self, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> list[Tensor]:
        """Return every index, those of weight 0 included."""
        (weights,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        indices = torch.arange(weights.shape[-1], device=weights.device)
        return list_values(self.name, [indices], weights.shape[:-1])

    def requirements(
        self, probs: VectorLike | None = None, logits: VectorLike | None = None
    ) -> Iterable[Requirement]:
        """Return that weights are nonnegative with a positive sum, or logits numbers."""
        (weights,) = promote(exactly_one(self.name, probs=probs, logits=logits))
        if logits is not None:
            holds = weights.logsumexp(-1).isfinite()
            return [Requirement("logits", "numbers, not all of them -inf", holds)]
        return [weights_requirement("probs", weights)]


def category_weights(name: str, probs: VectorLike | None, logits: VectorLike | None) -> Tensor:
    """Return weights of the categories, not normalised and without gradient."""
    (given,) = promote(exactly_one(name, probs=probs, logits=logits))
    return (given if logits is None else given.softmax(-1)).detach()


def weights_requirement(parameter: str, weights: Tensor) -> Requirement:
    """Return that weights are nonnegative with a positive, finite sum along the last dimension."""
    total = weights.sum(-1)
    holds = (weights >= 0).all(-1) & (total > 0) & total.isfinite()
    return Requirement(parameter, "nonnegative with a positive sum", holds)


def draw_index(weights: Tensor) -> Tensor:
    """Draw an index for each vector of weights, by inverting the cumulative sum."""
    # In float32 a million categories would be rounded together.
    dtype = weights.dtype if weights.device.type == "mps" else torch.float64
    cumulative = weights.cumsum(-1, dtype=dtype)
    total = cumulative[..., -1:]
    # `rand` is less than 1, so the last category of positive weight bounds the count.
    return (cumulative <= torch.rand_like(total) * total).sum(-1)


def pick(table: Tensor, index: Tensor) -> Tensor:
    """Return `table[..., index]`, with the dimensions before broadcast."""
    if index.shape != table.shape[:-1]:
        shape = broadcast_shapes(index.shape, table.shape[:-1])
        table, index = table.expand(*shape, -1), index.expand(shape)
    return table.gather(-1, index.unsqueeze(-1)).squeeze(-1)


categorical = Distribution(Categorical())
