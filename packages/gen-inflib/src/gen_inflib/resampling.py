"""Resampling: which particles go on, and how often."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from gen_core.readable import values_are_readable
from gen_distributions import uniform
from gen_inflib.chain_errors import DrawsError
from gen_inflib.counts import check_count


@final
@dataclass(frozen=True, slots=True)
class Resampler:
    """A way to draw ancestors in proportion to weights: each has as many descendants as expected, on average.

    A function of uniform numbers without branches, so that it batches and compiles.
    """

    name: str
    num_uniforms: Callable[[int], int]
    """How many uniform numbers it takes to draw so many ancestors."""
    choose: Callable[[Tensor, Tensor, int], Tensor]
    """Returns the ancestors for weights, uniform numbers, and a number of ancestors."""

    def __call__(self, log_weights: Tensor, num_particles: int | None = None) -> Tensor:
        """Draw ancestors.

        Args:
            log_weights: Shape `(n,)`, in nats; they need not be normalised. Not all -inf.
            num_particles: How many to draw; n by default.

        Returns:
            Indices, int64, shape `(num_particles,)`, never of a particle without weight.

        Raises:
            DrawsError: Every weight is -inf, or one is NaN or +inf, where that can be read.
            CountError: `num_particles` is less than 1.
        """
        num = len(log_weights) if num_particles is None else num_particles
        check_count("num_particles", num)
        _check(log_weights)
        return self.of_weights(log_weights.detach().softmax(0), num)

    def of_weights(self, weights: Tensor, num_particles: int) -> Tensor:
        """Draw ancestors for weights that need not sum to 1, shape `(n,)`."""
        # In float64: the last of a million float32 sums may lie below the last position.
        wide = weights.double()
        uniforms = uniform.sample(wide.new_zeros(self.num_uniforms(num_particles)), 1.0)
        return self.choose(wide, uniforms, num_particles)

    def __repr__(self) -> str:
        return self.name


def _check(log_weights: Tensor) -> None:
    if not values_are_readable():
        return
    largest = float(log_weights.max()) if len(log_weights) else -math.inf
    if not math.isfinite(largest):
        what = "every weight is -inf" if largest == -math.inf else f"a log weight is {largest}"
        raise DrawsError(f"There is nothing to draw {len(log_weights)} particles by: {what}.")


def _at(weights: Tensor, positions_below: Callable[[Tensor], Tensor], num: int) -> Tensor:
    """Return the ancestor of each of `num` increasing positions in [0, 1).

    Args:
        weights: They need not sum to 1.
        positions_below: How many positions are below each of the cumulative weights.
        num: The number of positions.
    """
    cumulative = weights.cumsum(0)
    ends = positions_below(cumulative / cumulative[-1])
    # Rounding, and a position of 0, must not give anything to a particle without weight at either end. Where
    # weights are NaN, which is reported elsewhere, the indices are at least inside.
    ends = torch.where(cumulative < cumulative[-1], torch.where(cumulative > 0, ends, 0), num).long()
    # One descendant for each end that lies at or before it: counting, which is faster than search.
    passed = torch.zeros(num + 1, dtype=torch.int64, device=weights.device)
    passed = passed.scatter_add(0, ends, torch.ones_like(ends))
    return passed[:num].cumsum(0)


def _systematic(weights: Tensor, uniforms: Tensor, num: int) -> Tensor:
    return _at(weights, lambda ends: torch.ceil(ends * num - uniforms[0]).clamp(0, num), num)


def _stratified(weights: Tensor, uniforms: Tensor, num: int) -> Tensor:
    def positions_below(ends: Tensor) -> Tensor:
        stratum = (ends * num).long().clamp(0, num - 1)
        within = ends * num - stratum
        return stratum + (uniforms[stratum] < within)

    return _at(weights, positions_below, num)


def _multinomial(weights: Tensor, uniforms: Tensor, num: int) -> Tensor:
    # Sorted uniforms without sorting: normalised sums of exponentials.
    steps = -torch.log1p(-uniforms)
    sums = steps.cumsum(0)
    positions = sums[:-1] / sums[-1]
    return _at(weights, lambda ends: torch.searchsorted(positions, ends), num)


def _residual(weights: Tensor, uniforms: Tensor, num: int) -> Tensor:
    expected = weights * (num / weights.sum())
    whole = expected.floor()
    rest = expected - whole
    # All slots are drawn from the remainders, and the first ones are given to the whole parts.
    total = rest.sum().clamp(min=torch.finfo(rest.dtype).tiny)
    drawn = _multinomial(torch.where(rest > 0, rest / total, 0.0), uniforms[: num + 1], num)
    kept = whole.cumsum(0).long()
    slots = torch.arange(num, device=weights.device)
    order = torch.argsort(uniforms[num + 1 :])  # the draws come sorted, and any of them may be left out
    deterministic = torch.searchsorted(kept, slots, right=True).clamp(max=len(weights) - 1)
    return torch.where(slots < kept[-1], deterministic, drawn[order])


multinomial: Final = Resampler("multinomial", lambda num: num + 1, _multinomial)
"""Independent draws. Source: Gordon, Salmond and Smith, IEE Proceedings F 140 (1993)."""

residual: Final = Resampler("residual", lambda num: 2 * num + 1, _residual)
"""The whole part of each expected number, and multinomial draws from the rest.

Source: Liu and Chen, Sequential Monte Carlo methods for dynamic systems, JASA 93 (1998).
"""

stratified: Final = Resampler("stratified", lambda num: num, _stratified)
"""One uniform position in each of n equal parts. Source: Kitagawa, JCGS 5 (1996)."""

systematic: Final = Resampler("systematic", lambda num: 1, _systematic)
"""n positions at equal distances, with one random shift. Source: Kitagawa, JCGS 5 (1996).

The fastest, and with the least variance in most problems.
"""
