"""The normal distribution truncated to an interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_core.readable import values_are_readable
from gen_distributions.family import TensorFamily
from gen_distributions.normal import HALF_LOG_TWO_PI
from gen_distributions.normal_tail import log_ndtr, log_ndtri
from gen_distributions.tensors import TensorLike, nan_unless, on_support, promote, standard_uniform


@final
@dataclass(frozen=True)
class TruncatedNormal(TensorFamily):
    """Density N(x; loc, scale) / Z over [low, high], where Z is the normal's mass there.

    Everything is computed from the logarithm of the normal's distribution function, on the side where
    it is small, so an interval far out in a tail is as accurate as one around `loc`.

    Parameters:
        loc: The mean of the normal that is truncated.
        scale: Its standard deviation, positive.
        low: The lower end; -inf for none.
        high: The upper end, greater than `low`; inf for none.
    """

    name = "truncated_normal"
    has_rsample = True
    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": constraints.real,
        "high": constraints.real,
    }

    def support(self, loc: TensorLike, scale: TensorLike, low: TensorLike, high: TensorLike) -> Constraint:
        """Return the interval; a half line or the whole line where bounds are infinite everywhere."""
        _, low, high = promote(loc, low, high)
        if not _is_infinite(low):
            return constraints.greater_than_eq(low) if _is_infinite(high) else constraints.interval(low, high)
        return constraints.real if _is_infinite(high) else constraints.less_than(high)

    def sample(self, loc: TensorLike, scale: TensorLike, low: TensorLike, high: TensorLike) -> Tensor:
        """Draw one value of the shape that the parameters broadcast to."""
        loc, scale, low, high = promote(loc, scale, low, high)
        a, has_low = _whiten(low, loc, scale)
        b, has_high = _whiten(high, loc, scale)
        uniform = standard_uniform(loc, scale, low, high)
        z = _quantile(
            uniform,
            torch.where(has_low, a, -torch.inf).detach(),
            torch.where(has_high, b, torch.inf).detach(),
        )
        # The implicit derivative of z at a fixed uniform: (1 - u) phi(a) / phi(z) da + u phi(b) / phi(z) db.
        to_low = torch.where(has_low, (1 - uniform) * torch.exp((z.square() - a.detach().square()) / 2), 0.0)
        to_high = torch.where(has_high, uniform * torch.exp((z.square() - b.detach().square()) / 2), 0.0)
        z = z + to_low * (a - a.detach()) + to_high * (b - b.detach())
        return (loc + scale * z).clamp(low, high)

    def log_prob(
        self, value: Tensor, /, loc: TensorLike, scale: TensorLike, low: TensorLike, high: TensorLike
    ) -> Tensor:
        """Return the log density of each element, -inf outside [low, high]."""
        value, loc, scale, low, high = promote(value, loc, scale, low, high)
        inside = (value >= low) & (value <= high)
        whitened = (torch.where(inside, value, loc) - loc) / scale
        log_mass = _log_mass(*_whiten(low, loc, scale), *_whiten(high, loc, scale))
        log_prob = whitened.square() * -0.5 - scale.log() - HALF_LOG_TWO_PI - log_mass
        return on_support(inside, nan_unless((low < high) & (scale > 0), log_prob))

    def requirements(
        self, loc: TensorLike, scale: TensorLike, low: TensorLike, high: TensorLike
    ) -> Iterable[Requirement]:
        """Return that `scale` is positive and `high` greater than `low`."""
        loc, scale, low, high = promote(loc, scale, low, high)
        return [
            Requirement("loc", "a number", constraints.real.check(loc)),
            Requirement("scale", "positive", scale > 0),
            Requirement("low", "a number or -inf", low < torch.inf),
            Requirement("high", "greater than `low`", low < high),
        ]


def _whiten(bound: Tensor, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return (bound - loc) / scale, 0 for an infinite bound, and whether the bound is finite.

    The infinity is taken out before the arithmetic, since its gradients would be NaN.
    """
    is_finite = bound.isfinite()
    whitened = (torch.where(is_finite, bound, loc) - loc) / scale
    return whitened, is_finite.expand_as(whitened)


def _log_mass(a: Tensor, has_low: Tensor, b: Tensor, has_high: Tensor) -> Tensor:
    """Return log(Phi(b) - Phi(a))."""
    # Mirror an interval that lies above 0, so that both ends are where log Phi is accurate.
    mirrored = torch.where(has_low, a, -torch.inf) + torch.where(has_high, b, torch.inf) > 0
    lower = torch.where(mirrored, -b, a)
    upper = torch.where(mirrored, -a, b)
    has_lower = torch.where(mirrored, has_high, has_low)
    has_upper = torch.where(mirrored, has_low, has_high)
    log_upper = torch.where(has_upper, log_ndtr(torch.where(has_upper, upper, 0.0)), 0.0)
    log_lower = log_ndtr(torch.where(has_lower, lower, upper - 1))
    ratio = torch.where(has_lower, torch.exp(log_lower - log_upper), 0.0)
    return log_upper + torch.log1p(-ratio)


def _quantile(uniform: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the z in [a, b] with (Phi(z) - Phi(a)) / (Phi(b) - Phi(a)) = uniform."""
    mirrored = (a + b > 0) & (a > -torch.inf)
    lower, upper = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    share = torch.where(mirrored, 1 - uniform, uniform)
    log_lower, log_upper = log_ndtr(lower), log_ndtr(upper)
    ratio = torch.exp(log_lower - log_upper)
    z = log_ndtri(log_upper + torch.log(ratio + share * (1 - ratio)))
    z = torch.minimum(torch.maximum(z, lower), upper)
    return torch.where(mirrored, -z, z)


def _is_infinite(bound: Tensor) -> bool:
    return values_are_readable() and bool(bound.isinf().all())


truncated_normal = Distribution(TruncatedNormal())
