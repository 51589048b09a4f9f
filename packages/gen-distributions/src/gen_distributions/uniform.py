"""The uniform distribution over an interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, nan_unless, on_support, promote, standard_uniform


@final
@dataclass(frozen=True)
class Uniform(TensorFamily):
    """Density 1 / (high - low) over [low, high].

    Parameters:
        low: The lower end.
        high: The upper end, greater than `low`.
    """

    name = "uniform"
    invalid_is_nan = True
    has_rsample = True
    arg_constraints = {
        "low": constraints.real,
        "high": constraints.real,
    }

    def support(self, low: TensorLike, high: TensorLike) -> Constraint:
        """Return the interval [low, high]."""
        low, high = promote(low, high)
        return constraints.interval(low, high)

    def sample(self, low: TensorLike, high: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        if isinstance(low, float | int) and isinstance(high, float | int):
            share = torch.rand(())
            if low == 0:
                return share.mul_(high)
            # Rounding must not carry a value past the upper end, where its density is 0.
            return share.mul_(high - low).add_(low).clamp(max=high)
        low, high = promote(low, high)
        return torch.lerp(low, high, standard_uniform(low, high))

    def log_prob(self, value: Tensor, /, low: TensorLike, high: TensorLike) -> Tensor:
        """Return -log(high - low) for each element in [low, high], else -inf."""
        value, low, high = promote(value, low, high)
        inside = (low <= value) & (value <= high)
        return on_support(inside, nan_unless(low < high, -(high - low).log()))

    def log_prob_of_numbers(self, value: float, /, low: float, high: float) -> float:
        """Return the same for one value, from Python numbers; NaN at the ends, which tensors round."""
        return -math.log(high - low) if low < value < high else math.nan

    def requirements(self, low: TensorLike, high: TensorLike) -> Iterable[Requirement]:
        """Return that `high` is greater than `low`."""
        if not (type(low) is type(high) is float):
            low, high = promote(low, high)
        return [
            Requirement("low", "a number", low == low),
            Requirement("high", "greater than `low`", low < high),
        ]


uniform = Distribution(Uniform())
