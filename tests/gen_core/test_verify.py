"""Verification of change hints."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import deterministic
from gen_core import ALL, UNCHANGED, HintError, select, verify_hints
from gen_distributions import normal
from gen_dml import gen


@gen
def inner(locs: list[float]) -> Tensor:
    return normal(locs[0], 1.0) @ "x"


@gen
def model(locs: list[float]) -> Tensor:
    normal(0.0, 1.0) @ "free"
    return inner(locs) @ "inner"


LIE: Any = {"locs": UNCHANGED}


@pytest.mark.unverified
def test_a_hint_that_lies_is_not_noticed_without_verification() -> None:
    trace = model.generate({"inner": {"x": 0.0}, "free": 0.0}, [0.0]).trace

    assert trace.update({"free": 0.0}, model([5.0]), argdiffs=LIE).weight == 0.0


def test_a_hint_that_lies_is_an_error_that_says_what_differs() -> None:
    trace = model.generate({"inner": {"x": 0.0}, "free": 0.0}, [0.0]).trace

    with verify_hints(), pytest.raises(HintError, match=r"weight 0 instead of -12.5"):
        trace.update({"free": 0.0}, model([5.0]), argdiffs=LIE)
    with verify_hints(), pytest.raises(HintError, match=r"weight 0 instead of -12.5"):
        trace.regenerate(select("free"), model([5.0]), argdiffs=LIE)


def test_a_return_value_that_a_hint_keeps_is_an_error() -> None:
    @gen
    def returns(x: Tensor) -> Tensor:
        normal(0.0, 1.0) @ "y"
        return shifted(x) @ "shifted"

    @deterministic
    def shifted(x: Tensor) -> Tensor:
        return x + 1

    trace = returns.simulate(torch.zeros(()))

    with verify_hints(), pytest.raises(HintError, match="another return value"):
        trace.update({}, returns(torch.ones(())), argdiffs=UNCHANGED)


def test_an_edit_that_rounds_otherwise_is_not_accused() -> None:
    noise = iter([0.0, 1e-6, 2e-6])

    @deterministic
    def rounded(x: Tensor) -> Tensor:
        return x + next(noise)

    @gen
    def returns(x: Tensor) -> Tensor:
        return normal(rounded(x) @ "rounded", 1.0) @ "y"

    trace = returns.simulate(torch.zeros(()))

    with verify_hints():
        trace.regenerate(select("y"), returns(torch.ones(())))


def test_a_true_hint_passes() -> None:
    trace = model.simulate([0.0])

    with verify_hints():
        updated = trace.update({"free": 1.0}, model([0.0]), argdiffs=LIE)

    assert updated.trace["free"] == 1.0


def test_verification_draws_the_same_numbers_twice() -> None:
    trace = model.simulate([0.0])
    torch.manual_seed(1)
    plain = trace.regenerate(ALL).trace.choices
    after = torch.rand(())

    torch.manual_seed(1)
    with verify_hints():
        verified = trace.regenerate(ALL).trace.choices

    assert verified == plain
    assert torch.rand(()) == after


@pytest.mark.unverified
def test_verification_ends_with_its_block() -> None:
    trace = model.simulate([0.0])
    with pytest.raises(KeyError), verify_hints():
        raise KeyError("mine")

    trace.update({"free": 0.0}, model([5.0]), argdiffs=LIE)
