"""Diagnostics agree with ArviZ, and say so where there is nothing to learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gen_core import Address
from gen_inflib.chain_errors import DrawsError
from gen_inflib.diagnostics import (
    Summary,
    effective_sample_size,
    effective_sample_size_bulk,
    effective_sample_size_tail,
    energy_fraction,
    pareto_k,
    pareto_smoothed,
    r_hat,
    standard_error,
    standard_error_of_sd,
    summary,
)

array_stats: Any = pytest.importorskip("arviz_stats.base").array_stats


def walks(correlation: float, *, num_chains: int = 4, num_draws: int = 500, seed: int = 0) -> Tensor:
    """Autoregressive chains."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(num_draws, num_chains, generator=generator, dtype=torch.float64)
    states = [noise[0]]
    for step in noise[1:]:
        states.append(correlation * states[-1] + math.sqrt(1 - correlation**2) * step)
    return torch.stack(states, 1)


DRAWS = {
    "independent": walks(0.0),
    "correlated": walks(0.9),
    "anticorrelated": walks(-0.6),
    "one chain": walks(0.5, num_chains=1),
    "odd length": walks(0.5, num_draws=301),
    "short": walks(0.3, num_draws=20),
    "heavy tails": walks(0.5).exp().square(),
    "apart": walks(0.5) + torch.arange(4.0)[:, None],
    "other scales": walks(0.5) * torch.arange(1.0, 5.0)[:, None],
    "ties": walks(0.5).round(),
    "booleans": (walks(0.5) > 0).double(),
}

PAIRS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Any], Any]]] = {
    "r_hat": (r_hat, lambda x: array_stats.rhat(x, chain_axis=0, draw_axis=1)),
    "bulk": (
        effective_sample_size_bulk,
        lambda x: array_stats.ess(x, chain_axis=0, draw_axis=1, method="bulk"),
    ),
    "tail": (
        effective_sample_size_tail,
        lambda x: array_stats.ess(x, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)),
    ),
    "mean": (effective_sample_size, lambda x: array_stats.ess(x, chain_axis=0, draw_axis=1, method="mean")),
    "error": (standard_error, lambda x: array_stats.mcse(x, chain_axis=0, draw_axis=1, method="mean")),
}


@pytest.mark.parametrize("diagnostic", PAIRS)
@pytest.mark.parametrize("draws", DRAWS)
def test_diagnostics_agree_with_arviz(diagnostic: str, draws: str) -> None:
    if (diagnostic, draws) == ("r_hat", "one chain"):
        pytest.skip("ArviZ has no R-hat of one chain.")
    ours, theirs = PAIRS[diagnostic]

    assert float(ours(DRAWS[draws])) == pytest.approx(float(theirs(DRAWS[draws].numpy())), rel=1e-6)


def test_the_error_of_the_sd_of_independent_normals_is_known() -> None:
    draws = walks(0.0, num_draws=2000)

    # var(s) = sigma^2 / 2n for normals, and the fourth moment's own error is about 2 percent here.
    assert float(standard_error_of_sd(draws)) == pytest.approx(1 / math.sqrt(2 * draws.numel()), rel=0.1)


def test_diagnostics_are_elementwise() -> None:
    both = torch.stack([walks(0.2), walks(0.8)], -1)

    assert torch.equal(r_hat(both), torch.stack([r_hat(walks(0.2)), r_hat(walks(0.8))]))
    assert effective_sample_size_bulk(both).shape == (2,)


def test_r_hat_is_one_for_constants_and_infinite_for_chains_that_are_stuck() -> None:
    constant = torch.ones(4, 100)
    stuck = constant * torch.arange(4.0)[:, None]

    assert float(r_hat(constant)) == pytest.approx(1.0)
    assert float(r_hat(stuck)) == math.inf


def test_draws_that_are_not_finite_are_refused() -> None:
    draws = walks(0.0)
    draws[2, 7] = math.nan

    with pytest.raises(DrawsError, match="Draw 7 of chain 2 is not finite"):
        r_hat(draws)


@pytest.mark.parametrize("shape", [(5,), (4, 3), (0, 100)])
def test_too_few_draws_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DrawsError, match="Expected draws of shape"):
        effective_sample_size(torch.zeros(shape))


def test_energy_fraction_is_about_two_for_independent_energies_and_small_for_slow_ones() -> None:
    # The expected square of a difference of independent numbers is twice their variance.
    assert energy_fraction(walks(0.0, num_draws=4000)).tolist() == pytest.approx([2.0] * 4, abs=0.15)
    assert bool((energy_fraction(walks(0.99, num_draws=4000)) < 0.1).all())


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_pareto_k_agrees_with_arviz(shape: float) -> None:
    uniforms = torch.rand(2500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_weights = -shape * uniforms.log()

    theirs, k = array_stats.psislw(-log_weights.numpy(), axis=-1)
    ours = pareto_smoothed(log_weights)

    assert float(ours.k) == pytest.approx(float(k), rel=1e-6)
    assert np.allclose(ours.log_weights.numpy(), np.asarray(theirs), atol=1e-8)


def test_pareto_k_of_equal_weights_is_no_reason_to_worry() -> None:
    assert float(pareto_k(torch.zeros(100))) == -math.inf


def test_pareto_k_refuses_weights_that_say_nothing() -> None:
    with pytest.raises(DrawsError, match="not all -inf"):
        pareto_k(torch.full((10,), -math.inf))


def table() -> Summary:
    draws: dict[Address, Tensor] = {"slope": walks(0.5), ("ys", 3): torch.stack([walks(0.1), walks(0.9)], -1)}
    return summary(draws)


def test_a_summary_has_a_row_for_each_number() -> None:
    assert list(table()) == ["slope", "ys[3][0]", "ys[3][1]"]
    assert table()["slope"].mean == pytest.approx(float(walks(0.5).mean()))
    assert table()["ys[3][1]"].ess_bulk < table()["ys[3][0]"].ess_bulk


def test_a_summary_prints_as_a_table() -> None:
    lines = str(table()).splitlines()

    assert lines[0].split() == ["mean", "sd", "5%", "95%", "error", "ess", "bulk", "ess", "tail", "r-hat"]
    assert lines[-1] == "4 chains of 500 draws"


def test_a_summary_names_the_number_whose_draws_are_not_finite() -> None:
    with pytest.raises(DrawsError) as caught:
        summary({"x": walks(0.0), "y": walks(0.0) / 0})

    assert caught.value.__notes__ == ["These are the draws of y."]
