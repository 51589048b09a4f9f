"""Resampling: unbiased, and safe at the ends."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import Distribution, drawing
from gen_inflib import Resampler, multinomial, residual, stratified, systematic

RESAMPLERS = [multinomial, residual, stratified, systematic]
PROBS = torch.tensor([0.1, 0.0, 0.25, 0.4, 0.25], dtype=torch.float64)


@pytest.mark.parametrize("method", RESAMPLERS, ids=repr)
@pytest.mark.parametrize("num", [1, 3, 5, 12])
def test_each_particle_has_as_many_descendants_as_its_weight_says(method: Resampler, num: int) -> None:
    torch.manual_seed(0)
    runs = 1000

    counts = torch.stack([torch.bincount(method(PROBS.log(), num), minlength=5) for _ in range(runs)])

    # No method has more variance than multinomial resampling.
    errors = (num * PROBS * (1 - PROBS) / runs).sqrt()
    assert bool(((counts.double().mean(0) - num * PROBS).abs() <= 4.5 * errors).all())


@pytest.mark.parametrize("method", [stratified, systematic], ids=repr)
def test_low_variance_methods_miss_the_expected_number_by_less_than_two(method: Resampler) -> None:
    torch.manual_seed(0)

    for _ in range(200):
        counts = torch.bincount(method(PROBS.log(), 40), minlength=5)
        assert bool(((counts - 40 * PROBS).abs() < 2).all())


def test_residual_resampling_keeps_the_whole_part_of_each_expected_number() -> None:
    torch.manual_seed(0)

    for _ in range(200):
        counts = torch.bincount(residual(PROBS.log(), 12), minlength=5)
        assert bool((counts >= (12 * PROBS).floor()).all())


@pytest.mark.parametrize("method", RESAMPLERS, ids=repr)
@pytest.mark.parametrize("edge", [0.0, 1 - 2**-53])
def test_ancestors_stay_inside_at_the_ends_of_the_unit_interval(method: Resampler, edge: float) -> None:
    def at_the_edge(distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: object) -> Tensor:
        return torch.full_like(args[0], edge)

    log_weights = torch.tensor([-math.inf, 0.0, -1.0, 0.3, -math.inf])

    with drawing(at_the_edge):
        ancestors = method(log_weights, 1000)

    assert set(ancestors.tolist()) <= {1, 2, 3}


@pytest.mark.parametrize("method", RESAMPLERS, ids=repr)
def test_a_million_float32_weights_are_resampled_inside_their_range(method: Resampler) -> None:
    torch.manual_seed(0)
    log_weights = 3 * torch.randn(1_000_000)

    ancestors = method(log_weights)

    assert int(ancestors.min()) >= 0
    assert int(ancestors.max()) < 1_000_000
    # Half of the weight has half of the descendants, to 4.5 standard errors of independent draws.
    half = log_weights.double().softmax(0)[:500_000].sum()
    share = (ancestors < 500_000).double().mean()
    assert abs(float(share - half)) < 4.5 * 0.5 / 1000
