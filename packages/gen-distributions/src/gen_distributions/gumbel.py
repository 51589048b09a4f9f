"""The Gumbel distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, open_uniform, promote


@final
@dataclass(frozen=True)
class Gumbel(TensorFamily):
    """Density exp(-(z + exp(-z))) / scale with z = (x - loc) / scale, over the real numbers.

    Parameters:
        loc: The mode, any real number.
        scale: Positive.
    """

    name = "gumbel"
    has_rsample = True
    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def sample(self, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        loc, scale = promote(loc, scale)
        return loc - scale * (-open_uniform(loc, scale).log()).log()

    def log_prob(self, value: Tensor, /, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Return the log density of each element."""
        value, loc, scale = promote(value, loc, scale)
        whitened = (value - loc) / scale
        return -whitened - torch.exp(-whitened) - scale.log()


gumbel = Distribution(Gumbel())
