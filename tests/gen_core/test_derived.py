"""Rooms that are derived from others: edits by generating again, gradients by assessing again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Poisson

from gen_core import GradientError, choicemap, param, select
from gen_core.testing import Below
from gen_distributions import bernoulli, from_torch, normal
from gen_dml import gen


@gen
def inner() -> Tensor:
    return normal(0.0, 1.0) @ "x"


@gen
def callee_or_choice() -> Tensor:
    if bernoulli(0.5) @ "calls":
        return inner() @ "it"
    return normal(0.0, 2.0) @ "it"


@gen
def scaled(x: float) -> Tensor:
    return normal(param("slope", 0.5) * x, 1.0) @ "y"


def test_what_was_below_an_address_is_discarded_when_a_choice_takes_it() -> None:
    caller = Below(callee_or_choice)
    trace = caller.generate({("below", "calls"): True, ("below", "it", "x"): 1.0}).trace

    updated = trace.update({("below", "calls"): False, ("below", "it"): 0.5})

    assert updated.discard == choicemap({("below", "calls"): True, ("below", "it", "x"): 1.0})


def test_regenerate_does_not_charge_for_a_callee_that_a_choice_has_replaced() -> None:
    caller = Below(callee_or_choice)
    trace = caller.generate({("below", "calls"): True, ("below", "it", "x"): 1.0}).trace
    torch.manual_seed(0)

    moved = next(
        moved
        for moved in (trace.regenerate(select(("below", "calls"))) for _ in range(100))
        if not moved.trace["below", "calls"]
    )

    # What is at "it" now is new, and what was below it is gone: neither is in both traces.
    assert float(moved.weight) == 0.0
    assert moved.discard == choicemap({("below", "calls"): True, ("below", "it", "x"): 1.0})


def test_parameter_gradients_accumulate_where_gradients_are_off() -> None:
    trace = scaled.generate({"y": 2.0}, 1.0).trace

    with torch.no_grad():
        trace.accumulate_param_gradients()

    assert scaled.params["slope"].grad == pytest.approx(1.5)


def test_a_count_has_no_gradient_though_torch_draws_it_as_a_float() -> None:
    trace = from_torch(Poisson).generate({(): 3.0}, 2.5).trace

    with pytest.raises(GradientError, match="is discrete"):
        trace.choice_gradients(select(()))
