"""The uniform distribution over a range of integers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_distributions.enumeration import list_integers
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import IntegerLike, broadcast_shape, nan_unless, on_support

INTEGER = constraints.integer_interval(-torch.inf, torch.inf)


@final
@dataclass(frozen=True)
class UniformDiscrete(TensorFamily):
    """Probability 1 / (high - low + 1) of each integer from `low` to `high`, both included.

    Parameters:
        low: The least value, an integer.
        high: The greatest value, an integer, at least `low`.
    """

    name = "uniform_discrete"
    is_discrete = True
    is_enumerable = True
    value_dtype = torch.int64
    arg_constraints = {
        "low": INTEGER,
        "high": INTEGER,
    }

    def support(self, low: IntegerLike, high: IntegerLike) -> Constraint:
        """Return the integers from `low` to `high`."""
        return constraints.integer_interval(low, high)

    def sample(self, low: IntegerLike, high: IntegerLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        if isinstance(low, int) and isinstance(high, int):
            return torch.randint(low, high + 1, ())
        first, last = _integers(low, high)
        dtype = torch.float32 if first.device.type == "mps" else torch.float64
        uniform = torch.rand(broadcast_shape(first, last), dtype=dtype, device=first.device)
        return first + (uniform * (last - first + 1)).long()

    def log_prob(self, value: Tensor, /, low: IntegerLike, high: IntegerLike) -> Tensor:
        """Return -log(high - low + 1) for each element from `low` to `high`, else -inf."""
        first, last = _integers(low, high, value)
        inside = (first <= value) & (value <= last)
        count = (last - first + 1).to(torch.get_default_dtype())
        return on_support(inside, nan_unless(count > 0, -count.log()))

    def enumerate_support(self, low: IntegerLike, high: IntegerLike) -> list[Tensor]:
        """Return the integers from `low` to `high`, or all their combinations."""
        return list_integers(self.name, *_integers(low, high))

    def requirements(self, low: IntegerLike, high: IntegerLike) -> Iterable[Requirement]:
        """Return that both are integers and `high` is at least `low`."""
        first, last = torch.as_tensor(low), torch.as_tensor(high)
        return [
            Requirement("low", "an integer", first % 1 == 0),
            Requirement("high", "an integer", last % 1 == 0),
            Requirement("high", "at least `low`", first <= last),
        ]


def _integers(low: IntegerLike, high: IntegerLike, like: Tensor | None = None) -> tuple[Tensor, Tensor]:
    device = next((given.device for given in (low, high, like) if isinstance(given, Tensor)), None)
    return torch.as_tensor(low, device=device).long(), torch.as_tensor(high, device=device).long()


uniform_discrete = Distribution(UniformDiscrete())
