"""The skew normal distribution. Source: Azzalini, Scandinavian Journal of Statistics 12 (1985)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement

Number = Tensor | float


@final
@dataclass(frozen=True)
class SkewNormal:
    """Density 2 phi(z) Phi(shape z) / scale at z = (x - loc) / scale."""

    @property
    def name(self) -> str:
        """The name in models and messages."""
        return "skew_normal"

    @property
    def is_discrete(self) -> bool:
        """It has a density."""
        return False

    @property
    def has_rsample(self) -> bool:
        """A sample is a smooth function of the parameters."""
        return True

    @property
    def is_enumerable(self) -> bool:
        """Any real number is possible."""
        return False

    @property
    def invalid_is_nan(self) -> bool:
        """Let parameters be checked before each scoring."""
        return False

    @property
    def can_stack(self) -> bool:
        """The density broadcasts."""
        return True

    @property
    def event_dim(self) -> int:
        """Each number is an event."""
        return 0

    def event_shape(self, loc: Number, scale: Number, shape: Number) -> tuple[int, ...]:
        """Each number is an event."""
        return ()

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """What the parameters may be."""
        return {"loc": constraints.real, "scale": constraints.positive, "shape": constraints.real}

    def support(self, loc: Number, scale: Number, shape: Number) -> Constraint:
        """Return the real numbers."""
        return constraints.real

    def sample(self, loc: Number, scale: Number, shape: Number) -> Tensor:
        """Draw loc + scale * (delta |u| + sqrt(1 - delta^2) v), with u and v standard normal."""
        loc, scale, shape = _tensors(loc, scale, shape)
        delta = shape / (1 + shape.square()).sqrt()
        u, v = torch.randn_like(loc).abs(), torch.randn_like(loc)
        return loc + scale * (delta * u + (1 - delta.square()).sqrt() * v)

    def log_prob(self, value: Tensor, /, loc: Number, scale: Number, shape: Number) -> Tensor:
        """Return the log density of each element."""
        loc, scale, shape = _tensors(loc, scale, shape)
        z = (value - loc) / scale
        normal = -0.5 * z.square() - 0.5 * math.log(2 * math.pi) - scale.log()
        above: Tensor = torch.special.log_ndtr(shape * z)
        return math.log(2) + normal + above

    def convert(self, value: object, /, loc: Number, scale: Number, shape: Number) -> Tensor:
        """Return a number or an array as a tensor."""
        if isinstance(value, Tensor) and value.is_floating_point():
            return value
        (like, *_) = _tensors(loc, scale, shape)
        return torch.as_tensor(value, dtype=like.dtype, device=like.device)

    def enumerate_support(self, loc: Number, scale: Number, shape: Number) -> Sequence[Tensor]:
        """Refuse: there is no end to it."""
        raise TypeError("skew_normal has infinitely many values.")

    def requirements(self, loc: Number, scale: Number, shape: Number) -> Iterable[Requirement]:
        """Return that the scale is positive."""
        return [Requirement("scale", "positive", torch.as_tensor(scale) > 0)]


def _tensors(*parameters: Number) -> tuple[Tensor, ...]:
    given = [parameter for parameter in parameters if isinstance(parameter, Tensor)]
    dtype = reduce(torch.promote_types, [tensor.dtype for tensor in given], torch.get_default_dtype())
    tensors = [torch.as_tensor(parameter, dtype=dtype) for parameter in parameters]
    broadcast: tuple[Tensor, ...] = torch.broadcast_tensors(*tensors)
    return broadcast


skew_normal = Distribution(SkewNormal())
