"""The normal distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_core.readable import elements_of_batches
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, promote, standard_normal

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_SQUARES = slice(1e-12, 1e12)
"""Scales of which float32 holds the square."""
_FEW = 4096
"""So many numbers are computed faster than a tensor of a constant is made."""


@final
@dataclass(frozen=True)
class Normal(TensorFamily):
    """Density exp(-((x - loc) / scale)^2 / 2) / (scale sqrt(2 pi)) over the real numbers.

    Parameters:
        loc: The mean, any real number.
        scale: The standard deviation, positive.
    """

    name = "normal"
    invalid_is_nan = True
    has_rsample = True
    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def sample(self, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        if isinstance(scale, float | int):
            if isinstance(loc, float | int):
                return torch.normal(loc, scale, ())
            (loc,) = promote(loc)
            return torch.add(loc, torch.randn_like(loc), alpha=scale)
        loc, scale = promote(loc, scale)
        if loc.shape == scale.shape and loc.dtype is scale.dtype and loc.get_device() == scale.get_device():
            return torch.addcmul(loc, torch.randn_like(loc), scale)
        return loc + scale * standard_normal(loc, scale)

    def log_prob(self, value: Tensor, /, loc: TensorLike, scale: TensorLike) -> Tensor:
        """Return log N(value; loc, scale) for each element."""
        is_centred = type(loc) is float and loc == 0.0
        if type(scale) is float and _SQUARES.start < scale < _SQUARES.stop:
            if type(loc) is not float:
                value, loc = promote(value, loc)
            distance = value if is_centred else value - loc
            constant, factor = -HALF_LOG_TWO_PI - math.log(scale), 0.5 / scale**2
            if distance.numel() * elements_of_batches() <= _FEW:
                return torch.rsub(distance * distance, constant, alpha=factor)
            # One pass over memory for the whole quadratic.
            filled = torch.full((), constant, dtype=distance.dtype, device=distance.device)
            return torch.addcmul(filled, distance, distance, value=-factor)
        value, loc, scale = promote(value, loc, scale)
        whitened = (value if is_centred else value - loc) / scale
        return torch.addcmul(torch.rsub(scale.log(), -HALF_LOG_TWO_PI), whitened, whitened, value=-0.5)

    def log_prob_of_numbers(self, value: float, /, loc: float, scale: float) -> float:
        """Return the same for one value, from Python numbers."""
        whitened = (value - loc) / scale
        return -0.5 * whitened * whitened - math.log(scale) - HALF_LOG_TWO_PI


normal = Distribution(Normal())
