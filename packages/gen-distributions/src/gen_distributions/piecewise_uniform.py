"""The piecewise uniform distribution over adjacent intervals."""

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
from gen_distributions.categorical import draw_index, pick, weights_requirement
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import VectorLike, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class PiecewiseUniform(TensorFamily):
    """Interval k with probability probs[k] / sum(probs), then uniform over [bounds[k], bounds[k + 1]].

    Parameters, with the intervals along the last dimension:
        bounds: The n + 1 ends of n adjacent intervals, increasing.
        probs: n nonnegative weights with a positive sum.
    """

    name = "piecewise_uniform"
    arg_constraints = {
        "bounds": constraints.real_vector,
        "probs": constraints.independent(constraints.nonnegative, 1),
    }

    def support(self, bounds: VectorLike, probs: VectorLike) -> Constraint:
        """Return the interval from the first to the last bound."""
        bounds, probs = promote(bounds, probs)
        return constraints.interval(bounds[..., 0], bounds[..., -1])

    def sample(self, bounds: VectorLike, probs: VectorLike) -> Tensor:
        """Draw one value for each vector of bounds and weights."""
        bounds, probs = promote(bounds, probs)
        low, high = bounds[..., :-1].detach(), bounds[..., 1:].detach()
        shape = broadcast_shapes(low.shape, probs.shape)
        index = draw_index(probs.detach().expand(shape))
        low, high = pick(low, index), pick(high, index)
        return torch.lerp(low, high, torch.rand_like(low))

    def log_prob(self, value: Tensor, /, bounds: VectorLike, probs: VectorLike) -> Tensor:
        """Return the log density of each element, -inf outside the bounds."""
        value, bounds, probs = promote(value, bounds, probs)
        inside = (value >= bounds[..., 0]) & (value <= bounds[..., -1])
        index = (bounds[..., 1:-1] <= value.unsqueeze(-1)).sum(-1)
        widths = bounds.diff(dim=-1)
        valid = (probs >= 0).all(-1) & (widths > 0).all(-1)
        log_prob = pick(probs, index).log() - probs.sum(-1).log() - pick(widths, index).log()
        return on_support(inside, nan_unless(valid, log_prob))

    def requirements(self, bounds: VectorLike, probs: VectorLike) -> Iterable[Requirement]:
        """Return that bounds increase and weights are nonnegative with a positive sum."""
        bounds, probs = promote(bounds, probs)
        num_intervals = torch.tensor(bounds.shape[-1] == probs.shape[-1] + 1)
        return [
            Requirement("bounds", "increasing along the last dimension", (bounds.diff(dim=-1) > 0).all(-1)),
            Requirement("bounds", "one longer than `probs`", num_intervals),
            weights_requirement("probs", probs),
        ]


piecewise_uniform = Distribution(PiecewiseUniform())
