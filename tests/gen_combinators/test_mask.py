"""Mask, where the flag can be read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import FlagError, Mask, Masked
from gen_core import ALL, EMPTY, UNCHANGED, UNKNOWN, UnvisitedConstraintsError, batch, choicemap
from gen_distributions import bernoulli, normal
from gen_dml import gen


@gen
def walk(x: float) -> Tensor:
    x = float(normal(x, 1.0) @ "first")
    return normal(x, 1.0) @ "second"


WALK = Mask(walk)


def test_a_true_flag_runs_the_kernel() -> None:
    trace = WALK.simulate(True, 0.5)

    alone = walk.assess(trace.choices, 0.5)
    assert torch.equal(trace.score, alone.score)
    assert trace.retval.flag is True and trace.retval.or_else(0.0) is trace["second"]


def test_a_false_flag_runs_nothing() -> None:
    trace = WALK.simulate(torch.tensor(False), 0.5)

    assert trace.choices == EMPTY and float(trace.score) == 0.0
    assert trace.retval == Masked(None, False) and trace.retval.or_else(0.25) == 0.25


def test_constraints_under_a_false_flag_are_not_visited() -> None:
    with pytest.raises(
        UnvisitedConstraintsError, match=r"Mask\(walk\) never visited 'first'.* It made no choices"
    ):
        WALK.generate({"first": 0.0}, False, 0.5)


def test_a_flag_that_turns_true_generates_and_one_that_turns_false_discards() -> None:
    trace = WALK.simulate(False, 0.5)

    shown = trace.update({"first": 0.3, "second": 0.1}, WALK(True, 0.5))
    hidden = shown.trace.update({}, WALK(False, 0.5))
    redrawn = shown.trace.regenerate(ALL, WALK(False, 0.5))

    assert float(shown.weight) == pytest.approx(float(shown.trace.score)) and shown.retdiff is UNKNOWN
    assert float(hidden.weight) == pytest.approx(-float(shown.weight))
    assert hidden.discard == shown.trace.choices and hidden.retdiff is UNKNOWN
    assert float(redrawn.weight) == 0.0 and redrawn.discard == shown.trace.choices


def test_a_kernel_that_returns_nothing_still_shows_whether_it_ran() -> None:
    @gen
    def silent() -> None:
        bernoulli(0.5) @ "x"

    trace = Mask(silent).simulate(True)

    assert trace.update({}, Mask(silent)(False)).retdiff is UNKNOWN
    assert trace.update({"x": True}).retdiff is UNCHANGED


def test_the_choice_of_a_masked_distribution_is_at_its_own_address() -> None:
    @gen
    def model(is_seen: bool) -> None:
        Mask(normal)(is_seen, 0.0, 1.0) @ "y"

    trace = model.generate({"y": 0.3}, True).trace

    assert trace.choices == choicemap({"y": torch.tensor(0.3)})
    assert trace["y"] == Masked(trace.choices["y"], True)


def test_a_batch_of_flags_weighs_what_is_seen() -> None:
    seen = torch.tensor([True, False, True])

    traces, weights = batch(lambda flag, y: Mask(normal).generate({(): y}, flag, 0.0, 1.0))(
        seen, torch.ones(3)
    )

    log_prob = normal.log_prob(1.0, 0.0, 1.0)
    assert torch.allclose(weights.float(), torch.stack([log_prob, torch.tensor(0.0), log_prob]))
    assert [len(trace.choices) for trace in traces] == [1, 0, 1]
    assert traces.retval.or_else(torch.zeros(3)).tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("given", [1, None, torch.tensor(1), torch.tensor([True])])
def test_a_flag_that_is_not_true_or_false_is_refused(given: Any) -> None:
    with pytest.raises(FlagError, match=r"Expected `flag` of Mask\(walk\) to be a bool"):
        WALK.simulate(given, 0.5)


def test_masks_of_equal_kernels_are_equal() -> None:
    assert Mask(walk) == WALK and hash(Mask(walk)) == hash(WALK) and Mask(normal) != WALK
    assert WALK.reference == f"{__name__}:WALK"
    assert repr(WALK).startswith("<generative function Mask(walk)(flag, /, x: 'float')")
