"""`@ inline` splices a static function into another one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import DuplicateAddressError, InlineError, plugins, select
from gen_distributions import normal
from gen_dml import gen
from gen_sml import RecursiveInlineError, inline, param, static

SCALE = 2.0
RUNS: list[str] = []


def noted(value: Any) -> Any:
    RUNS.append("run")
    return value


@static
def prior(loc: Any) -> Tensor:
    mu = normal(noted(loc), SCALE) @ "mu"
    return mu + param("shift", 0.5)


@static
def model(x: float) -> Tensor:
    mean = prior(x) @ inline
    return normal(mean, 1.0) @ "y"


def test_addresses_belong_to_the_caller() -> None:
    trace = model.simulate(0.5)

    assert trace.choices.keys() == ["mu", "y"]
    assert "mu" in trace and trace["y"] is trace.retval


def test_parameters_stay_with_their_function() -> None:
    model.simulate(0.5)

    assert list(prior.params) == ["shift"] and not model.params
    assert "prior.shift" in dict(model.get_torch_nn_module().named_parameters())


def test_free_names_are_those_of_the_spliced_function() -> None:
    def make(scale: float) -> Any:
        @static
        def part(x: float) -> Tensor:
            return normal(x, scale) @ "mu"

        return part

    part, normal_ = make(math.sqrt(2.0)), normal
    scale = "something else"

    @static
    def caller(x: float) -> Tensor:
        mu = part(x) @ inline
        return normal_(mu, 1.0 if scale else 2.0) @ "y"

    score = caller.assess({"mu": 1.0, "y": 0.0}, 0.0).score
    expected = normal.log_prob(1.0, 0.0, math.sqrt(2.0)) + normal.log_prob(0.0, 1.0, 1.0)
    torch.testing.assert_close(score, expected.double())


@pytest.mark.unverified
def test_an_edit_leaves_alone_what_it_does_not_reach() -> None:
    trace = model.simulate(0.5)
    RUNS.clear()

    moved = trace.update({"y": 1.0}).trace
    assert not RUNS
    again = moved.update({"mu": 1.0}).trace

    torch.testing.assert_close(again.score, model.assess(again.choices, 0.5).score)


@pytest.mark.unverified
def test_an_edit_within_a_spliced_function_may_leave_the_caller_alone() -> None:
    @static
    def side(x: float) -> float:
        normal(x, 1.0) @ "noise"
        return x

    @static
    def caller(x: float) -> float:
        y = side(x) @ inline
        return noted(2 * y)  # type: ignore[no-any-return]

    trace = caller.simulate(0.5)
    RUNS.clear()
    moved = trace.regenerate(select("noise"))

    assert not RUNS
    assert moved.trace["noise"] is not trace["noise"]


def test_a_function_is_spliced_anew_when_it_is_another_one() -> None:
    @static
    def one(x: float) -> Tensor:
        return normal(x, 1.0) @ "mu"

    @static
    def two(x: float) -> Tensor:
        extra = normal(0.0, 1.0) @ "extra"
        return normal(extra + x, 2.0) @ "mu"

    @static
    def caller(kernel: Any, x: float) -> Tensor:
        mu = kernel(x) @ inline
        return normal(mu, 1.0) @ "y"

    trace = caller.simulate(one, 0.5)
    moved, weight, _, discard = trace.update({"extra": 0.3}, caller(two, 0.5))

    assert moved["mu"] == trace["mu"] and not discard
    assert moved.choices.keys() == ["extra", "mu", "y"]
    torch.testing.assert_close(weight, caller.assess(moved.choices, two, 0.5).score - trace.score)
    back = moved.update({}, caller(one, 0.5))
    torch.testing.assert_close(back.weight, -weight)
    assert back.discard["extra"] == 0.3


def test_collisions_name_both_functions() -> None:
    @static
    def caller() -> None:
        normal(0.0, 1.0) @ "mu"
        prior(0.0) @ inline

    with pytest.raises(DuplicateAddressError, match=r"prior \(.*\), after caller \(.*\), visited 'mu' twice"):
        caller.simulate()


def test_functions_of_another_language_are_refused() -> None:
    @gen
    def dynamic() -> Tensor:
        return normal(0.0, 1.0) @ "x"

    @static
    def caller() -> Tensor:
        return dynamic() @ inline

    with pytest.raises(InlineError, match=r"caller \(.*test_inline.py:\d+\) splices dynamic, a Dynamic"):
        caller.simulate()


@static
def recursive(n: int) -> Any:
    return recursive(n - 1) @ inline


def test_a_function_that_splices_itself_is_refused() -> None:
    with pytest.raises(RecursiveInlineError, match="splices recursive with `@ inline` while"):
        recursive.simulate(3)


def test_training_reaches_spliced_parameters() -> None:
    assert plugins.runtimes
    trace = model.generate({"y": 3.0, "mu": 0.0}, 0.5).trace
    shift = prior.params["shift"]
    before = torch.zeros(()) if shift.grad is None else shift.grad.clone()

    trace.accumulate_param_gradients()

    assert shift.grad is not None
    # The log density of y is -(y - mu - shift)^2 / 2.
    torch.testing.assert_close(shift.grad - before, torch.tensor(3.0) - shift.detach())
