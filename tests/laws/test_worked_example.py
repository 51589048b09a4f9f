"""The worked example of a change of structure, with its numbers.

A: x ~ B(.3), y ~ B(.6 if x else .2). B: x ~ B(.7), z ~ B(.9 if x else .4). From A with x = 1, y = 0, whose
probability is .12, to B.
"""

from __future__ import annotations

import math

import pytest
import torch

from gen_core import ALL, EMPTY, NONE, UNCHANGED, Trace, choicemap, select
from gen_core.testing import Through
from gen_distributions import bernoulli
from gen_dml import gen


@gen
def branch(in_a: bool) -> bool:
    if in_a:
        x = bernoulli(0.3) @ "x"
        bernoulli(0.6 if x else 0.2) @ "y"
    else:
        x = bernoulli(0.7) @ "x"
        bernoulli(0.9 if x else 0.4) @ "z"
    return bool(x)


@pytest.fixture
def trace() -> Trace[bool]:
    return branch.generate({"x": True, "y": False}, True).trace


def test_the_start_has_probability_012(trace: Trace[bool]) -> None:
    assert float(trace.score) == pytest.approx(math.log(0.12))
    assert float(trace.project(select("x"))) == pytest.approx(math.log(0.3))
    assert float(trace.project(~select("x"))) == pytest.approx(math.log(0.4))


def test_update_keeps_x_and_draws_z(trace: Trace[bool]) -> None:
    updated = trace.update({}, branch(False))

    assert float(updated.weight) == pytest.approx(math.log(0.7) - math.log(0.12))
    assert updated.discard == choicemap({"y": torch.tensor(False)})
    assert updated.trace["x"] and "z" in updated.trace and "y" not in updated.trace
    assert updated.retdiff is UNCHANGED


def test_update_with_z_given_weighs_it_too(trace: Trace[bool]) -> None:
    updated = trace.update({"z": True}, branch(False))

    assert float(updated.weight) == pytest.approx(math.log(0.63) - math.log(0.12))


def test_updating_back_gives_the_trace_and_the_negative_weight(trace: Trace[bool]) -> None:
    updated = trace.update({"z": True}, branch(False))

    back = updated.trace.update(updated.discard, branch(True))

    assert float(back.weight) == pytest.approx(-float(updated.weight))
    assert back.trace.choices == trace.choices
    assert back.discard == choicemap({"z": torch.tensor(True)})


def test_regenerate_weighs_only_what_both_have(trace: Trace[bool]) -> None:
    moved = trace.regenerate(NONE, branch(False))

    assert float(moved.weight) == pytest.approx(math.log(0.7) - math.log(0.3))
    assert moved.discard == choicemap({"y": torch.tensor(False)})


def test_regenerate_of_everything_weighs_nothing(trace: Trace[bool]) -> None:
    moved = trace.regenerate(ALL, branch(False))

    assert float(moved.weight) == 0.0
    assert moved.discard == trace.choices


def test_a_caller_weighs_as_its_callee(trace: Trace[bool]) -> None:
    caller = Through(branch)
    start = caller.generate({"below": trace.choices}, True).trace

    updated = start.update({("below", "z"): False}, caller(False))
    moved = start.regenerate(select(("below", "x")), caller(False))
    kept = start.regenerate(~select(("below", "x")), caller(False))

    assert float(updated.weight) == pytest.approx(math.log(0.07) - math.log(0.12))
    assert float(moved.weight) == 0.0
    assert float(kept.weight) == pytest.approx(math.log(0.7) - math.log(0.3))


def test_nothing_to_do_is_the_identity(trace: Trace[bool]) -> None:
    updated = trace.update({})

    assert updated.trace is trace
    assert (float(updated.weight), updated.retdiff, updated.discard) == (0.0, UNCHANGED, EMPTY)
