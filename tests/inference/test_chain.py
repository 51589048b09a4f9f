"""Chains and composed kernels: what is kept, in which order, and how often a kernel was accepted."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from gen_core import Trace, select
from gen_distributions import normal
from gen_dml import gen
from gen_inflib import (
    CountError,
    Kernel,
    KernelError,
    adaptive_hmc,
    cycle,
    metropolis_hastings,
    mixture,
    repeat,
    run_chain,
)


@gen
def model() -> Tensor:
    return normal(0.0, 1.0) @ "x"


class Said(NamedTuple):
    accepted: bool


def count(trace: Trace[Tensor]) -> tuple[Trace[Tensor], Said]:
    """Add one; say that odd numbers were accepted."""
    moved = trace.update({"x": trace["x"] + 1}).trace
    return moved, Said(accepted=float(moved["x"]) % 2 == 1)


def double(trace: Trace[Tensor]) -> tuple[Trace[Tensor], None]:
    return trace.update({"x": 2 * trace["x"]}).trace, None


@pytest.fixture
def start() -> Trace[Tensor]:
    return model.generate({"x": 0.0}).trace


def visited(start: Trace[Tensor], kernel: Kernel[Tensor], **options: Any) -> list[float]:
    return [float(trace["x"]) for trace in run_chain(start, kernel, **options).traces]


def test_a_chain_keeps_what_it_visits(start: Trace[Tensor]) -> None:
    assert visited(start, count, num_samples=3) == [1, 2, 3]


def test_warm_up_is_left_out_and_thinning_keeps_every_so_many_th(start: Trace[Tensor]) -> None:
    assert visited(start, count, num_samples=3, num_warmup=4, thin=2) == [6, 8, 10]


def test_an_adaptive_kernel_learns_in_warm_up(start: Trace[Tensor]) -> None:
    torch.manual_seed(1)

    chain = run_chain(start, adaptive_hmc(select("x"), num_leapfrogs=3), num_samples=20, num_warmup=60)

    rate = chain.acceptance_rates["hmc"]
    # Of 20 steps at the target of 0.8, four standard errors are 4 * sqrt(0.8 * 0.2 / 20) = 0.36.
    assert abs(rate - 0.8) < 0.36
    assert len({float(trace["x"]) for trace in chain.traces}) == round(20 * rate)


def test_what_is_no_kernel_is_refused(start: Trace[Tensor]) -> None:
    with pytest.raises(KernelError, match="Expected a kernel: a function from a trace"):
        run_chain(start, "hmc", num_samples=2)  # type: ignore[arg-type]


def test_a_cycle_applies_its_kernels_in_order(start: Trace[Tensor]) -> None:
    assert visited(start, cycle(count, double), num_samples=2) == [2, 6]
    assert visited(start, cycle(double, count), num_samples=2) == [1, 3]


def test_repeat_applies_a_kernel_so_many_times(start: Trace[Tensor]) -> None:
    assert visited(start, repeat(count, 3), num_samples=2) == [3, 6]


def test_a_mixture_picks_in_proportion_to_the_weights(start: Trace[Tensor]) -> None:
    torch.manual_seed(0)
    never: Kernel[Tensor] = double

    chain = run_chain(
        start, mixture([(3.0, count), (1.0, lambda t: (t, None)), (0.0, never)]), num_samples=400
    )

    # Four standard errors of a count: 4 * sqrt(400 * 0.75 * 0.25) = 35.
    assert abs(float(chain.traces[-1]["x"]) - 300) < 35


def test_acceptance_is_counted_by_kernel_after_warm_up(start: Trace[Tensor]) -> None:
    chain = run_chain(start, count, num_samples=3, num_warmup=2)

    assert chain.acceptance_rates == {"count": pytest.approx(2 / 3)}


def test_acceptance_is_counted_within_composed_kernels(start: Trace[Tensor]) -> None:
    still: Kernel[Tensor] = partial(metropolis_hastings, proposal=select())
    kernel = cycle(repeat(count, 2), double, mixture([(1.0, cycle(count, still))]))

    chain = run_chain(start, kernel, num_samples=2)

    # From 0: 1, 2, 4, 5 and then 6, 7, 14, 15.
    assert chain.acceptance_rates == {"count": pytest.approx(4 / 6), "metropolis_hastings(NONE)": 1.0}


def test_the_expectation_is_the_mean_over_traces(start: Trace[Tensor]) -> None:
    chain = run_chain(start, count, num_samples=4)

    assert float(chain.expectation(lambda trace: trace["x"])) == 2.5
    assert chain.expectation(lambda trace: torch.stack([trace["x"], trace.retval])).tolist() == [2.5, 2.5]


def test_the_same_seed_gives_the_same_chain(start: Trace[Tensor]) -> None:
    kernel: Kernel[Tensor] = partial(metropolis_hastings, proposal=select("x"))
    torch.manual_seed(5)
    first = visited(start, kernel, num_samples=10)
    torch.manual_seed(5)

    assert visited(start, kernel, num_samples=10) == first


@pytest.mark.parametrize(("progress", "is_shown"), [(True, True), (False, False), (None, False)])
def test_progress_is_shown_on_demand_or_on_a_terminal(
    start: Trace[Tensor], progress: bool | None, is_shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run_chain(start, count, num_samples=3, progress=progress)

    assert ("/3 " in capsys.readouterr().err) is is_shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "Expected `num_samples` to be an integer of at least 1, but got 0"),
        (
            {"num_samples": 1, "num_warmup": -1},
            "Expected `num_warmup` to be an integer of at least 0, but got -1",
        ),
        ({"num_samples": 1, "thin": 0}, "Expected `thin` to be an integer of at least 1, but got 0"),
    ],
)
def test_counts_that_are_too_small_are_refused(
    start: Trace[Tensor], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CountError, match=message):
        run_chain(start, count, **options)


def test_repeating_no_times_is_refused() -> None:
    with pytest.raises(CountError, match="Expected `times` to be an integer of at least 1, but got 0"):
        repeat(count, 0)
