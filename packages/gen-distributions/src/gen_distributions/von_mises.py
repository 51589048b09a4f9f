"""The von Mises distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.categorical import pick
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, nan_unless, on_support, promote, standard_uniform

LOG_TWO_PI = math.log(2 * math.pi)


@final
@dataclass(frozen=True)
class VonMises(TensorFamily):
    """Density exp(concentration cos(x - loc)) / (2 pi I0(concentration)) over the angles in [-pi, pi].

    Parameters:
        loc: The mode, an angle in radians.
        concentration: Positive; about one over the variance where it is large.
    """

    name = "von_mises"
    fixed_support = constraints.interval(-math.pi, math.pi)
    arg_constraints = {
        "loc": constraints.real,
        "concentration": constraints.positive,
    }

    def sample(self, loc: TensorLike, concentration: TensorLike) -> Tensor:
        """Draw one angle of the shape that the parameters broadcast to.

        By inverting the distribution function: the rounds of a rejection sampler depend on the draws,
        which no batch can do.
        """
        loc, concentration = promote(loc, concentration)
        uniform = standard_uniform(loc, concentration)
        deviation = (
            _absolute_quantile(2 * (uniform - 0.5).abs(), concentration.detach()) * (uniform - 0.5).sign()
        )
        return torch.remainder(loc.detach() + deviation + math.pi, 2 * math.pi) - math.pi

    def log_prob(self, value: Tensor, /, loc: TensorLike, concentration: TensorLike) -> Tensor:
        """Return the log density of each angle, -inf outside [-pi, pi]."""
        value, loc, concentration = promote(value, loc, concentration)
        log_prob = (
            -2 * concentration * torch.sin((value - loc) / 2).square()
            - LOG_TWO_PI
            - torch.special.i0e(concentration).log()
        )
        inside = (value >= -math.pi) & (value <= math.pi)
        return on_support(inside, nan_unless(concentration > 0, log_prob))


NUM_PANELS = 16
NEWTON_STEPS = 10
# Nodes and weights of Gauss-Legendre quadrature on [-1, 1]: exact to float64 on each panel.
NODES = (0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363)
WEIGHTS = (0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763)


def _absolute_quantile(uniform: Tensor, concentration: Tensor) -> Tensor:
    """Return the angle x >= 0 with P(|deviation from loc| <= x) = uniform.

    The density is integrated over panels, the panel that holds the quantile is found by comparison, and
    Newton's method goes on inside it; the distribution function is concave, so it cannot overshoot.
    """
    # Beyond this angle the density is exp(-40) of its peak.
    reach = 2 * torch.asin((20 / concentration).sqrt().clamp(max=1.0))
    width = (reach / NUM_PANELS).unsqueeze(-1)
    starts = width * torch.arange(NUM_PANELS, dtype=width.dtype, device=width.device)
    masses = _integral(starts, width, concentration.unsqueeze(-1))
    cumulative = masses.cumsum(-1)
    target = uniform * cumulative[..., -1]
    panel = (cumulative[..., :-1] <= target.unsqueeze(-1)).sum(-1)
    before = pick(cumulative - masses, panel)
    width = width.squeeze(-1)
    start, remaining = panel * width, target - before
    step = torch.zeros_like(remaining)
    for _ in range(NEWTON_STEPS):
        excess = _integral(start, step, concentration) - remaining
        step = (step - excess / _bump(start + step, concentration)).clamp(min=0.0)
        step = torch.minimum(step, width)
    return start + step


def _bump(angle: Tensor, concentration: Tensor) -> Tensor:
    """Return the density up to a constant: 1 at angle 0."""
    return torch.exp(-2 * concentration * torch.sin(angle / 2).square())


def _integral(start: Tensor, width: Tensor, concentration: Tensor) -> Tensor:
    """Return the integral of the bump over [start, start + width]."""
    nodes = torch.tensor([*(-x for x in NODES), *NODES], dtype=width.dtype, device=width.device)
    weights = torch.tensor(WEIGHTS * 2, dtype=width.dtype, device=width.device)
    angles = start.unsqueeze(-1) + width.unsqueeze(-1) * (1 + nodes) / 2
    return width / 2 * (_bump(angles, concentration.unsqueeze(-1)) * weights).sum(-1)


von_mises = Distribution(VonMises())
