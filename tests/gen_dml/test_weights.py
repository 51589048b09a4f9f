"""The weight and the discard of each row of the table of update and regenerate."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import ALL, NONE, Trace, select
from gen_distributions import bernoulli, laplace, normal
from gen_dml import gen


def log_normal_density(x: float, loc: float, scale: float = 1.0) -> float:
    return -0.5 * ((x - loc) / scale) ** 2 - math.log(scale) - 0.5 * math.log(2 * math.pi)


def log_laplace_density(x: float, loc: float) -> float:
    return -abs(x - loc) - math.log(2.0)


@gen
def pair(loc: float, shift: float) -> Tensor:
    x = normal(loc, 1.0) @ "x"
    y = normal(x + shift, 1.0) @ "y"
    return x + y


def pair_at(x: float, y: float, loc: float = 0.0, shift: float = 0.0) -> Trace[Tensor]:
    return pair.generate({"x": x, "y": y}, loc, shift).trace


def close(value: Tensor, expected: float) -> None:
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)


def test_generate_weight_is_the_density_of_the_constraints() -> None:
    trace, weight = pair.generate({"y": 2.0}, 0.0, 0.5)

    x = float(trace["x"])
    close(weight, log_normal_density(2.0, x + 0.5))
    close(trace.score, log_normal_density(x, 0.0) + log_normal_density(2.0, x + 0.5))


def test_update_charges_new_minus_old_where_a_choice_is_kept_under_new_arguments() -> None:
    trace = pair_at(1.0, 2.0)

    moved, weight, _, discard = trace.update({}, pair(0.0, 3.0))

    close(weight, log_normal_density(2.0, 4.0) - log_normal_density(2.0, 1.0))
    assert discard.is_empty
    assert moved["y"] == trace["y"]


def test_update_charges_new_minus_old_and_discards_where_a_choice_is_constrained() -> None:
    trace = pair_at(1.0, 2.0)

    moved, weight, _, discard = trace.update({"x": -1.0})

    old = log_normal_density(1.0, 0.0) + log_normal_density(2.0, 1.0)
    new = log_normal_density(-1.0, 0.0) + log_normal_density(2.0, -1.0)
    close(weight, new - old)
    close(moved.score, new)
    assert dict(discard.items()) == {"x": torch.tensor(1.0)}


def test_regenerate_charges_nothing_for_a_resampled_choice_and_the_ratio_for_a_kept_one() -> None:
    trace = pair_at(1.0, 2.0)

    moved, weight, _, discard = trace.regenerate(select("x"))

    x = float(moved["x"])
    close(weight, log_normal_density(2.0, x) - log_normal_density(2.0, 1.0))
    assert x != 1.0
    assert dict(discard.items()) == {"x": torch.tensor(1.0)}


@gen
def branching(first: bool) -> None:
    if first:
        normal(0.0, 1.0) @ "a"
        normal(1.0, 1.0) @ "b"
    else:
        normal(2.0, 1.0) @ "b"
        normal(3.0, 1.0) @ "c"


def test_update_pays_for_vanished_choices_and_not_for_new_free_ones() -> None:
    trace, _ = branching.generate({"a": 0.5, "b": 1.5}, True)

    moved, weight, _, discard = trace.update({}, branching(False))

    old = log_normal_density(0.5, 0.0) + log_normal_density(1.5, 1.0)
    close(weight, log_normal_density(1.5, 2.0) - old)
    close(moved.score, log_normal_density(1.5, 2.0) + log_normal_density(float(moved["c"]), 3.0))
    assert dict(discard.items()) == {"a": torch.tensor(0.5)}


def test_update_counts_a_new_constrained_choice() -> None:
    trace, _ = branching.generate({"a": 0.5, "b": 1.5}, True)

    _, weight, _, _ = trace.update({"c": 2.5}, branching(False))

    old = log_normal_density(0.5, 0.0) + log_normal_density(1.5, 1.0)
    close(weight, log_normal_density(1.5, 2.0) + log_normal_density(2.5, 3.0) - old)


def test_regenerate_pays_for_neither_vanished_nor_new_choices() -> None:
    trace, _ = branching.generate({"a": 0.5, "b": 1.5}, True)

    moved, weight, _, discard = trace.regenerate(NONE, branching(False))

    close(weight, log_normal_density(1.5, 2.0) - log_normal_density(1.5, 1.0))
    assert set(moved.choices.keys()) == {"b", "c"}
    assert dict(discard.items()) == {"a": torch.tensor(0.5)}


@gen
def flip_then_branch(p: float) -> Tensor:
    x = bernoulli(p) @ "x"
    if p < 0.5:
        return bernoulli(0.6 if x else 0.2) @ "y"
    return bernoulli(0.9 if x else 0.4) @ "z"


def test_the_worked_example_of_a_change_of_branch() -> None:
    trace, weight = flip_then_branch.generate({"x": 1, "y": 0}, 0.3)
    close(weight, math.log(0.12))

    moved, weight, _, discard = trace.update({}, flip_then_branch(0.7))
    close(weight, math.log(0.7) - math.log(0.12))
    assert dict(discard.items()) == {"y": torch.tensor(False)}

    moved, weight, _, discard = trace.update({"z": 1}, flip_then_branch(0.7))
    close(weight, math.log(0.63) - math.log(0.12))

    back, back_weight, _, _ = moved.update(discard, flip_then_branch(0.3))
    close(back_weight, math.log(0.12) - math.log(0.63))
    assert back.choices == trace.choices

    _, weight, _, _ = trace.regenerate(NONE, flip_then_branch(0.7))
    close(weight, math.log(0.7) - math.log(0.3))


@gen
def chosen_distribution(heavy: bool) -> Tensor:
    return (laplace(0.0, 1.0) if heavy else normal(0.0, 1.0)) @ "x"


def test_a_choice_is_kept_when_its_distribution_changes() -> None:
    trace, _ = chosen_distribution.generate({"x": 1.5}, False)

    moved, weight, _, discard = trace.update({}, chosen_distribution(True))

    close(weight, log_laplace_density(1.5, 0.0) - log_normal_density(1.5, 0.0))
    assert moved["x"] == 1.5
    assert discard.is_empty


@gen
def inner(loc: float) -> Tensor:
    a = normal(loc, 1.0) @ "a"
    return normal(a, 1.0) @ "b"


@gen
def other_inner(loc: float) -> Tensor:
    a = normal(loc, 2.0) @ "a"
    return normal(a, 2.0) @ "c"


@gen
def outer(which: str) -> Tensor:
    if which == "inner":
        return inner(0.0) @ "sub"
    if which == "other":
        return other_inner(0.0) @ "sub"
    if which == "choice":
        return normal(0.0, 1.0) @ "sub"
    return normal(0.0, 1.0) @ "alone"


def outer_at_inner() -> Trace[Any]:
    return outer.generate({("sub", "a"): 1.0, ("sub", "b"): 2.0}, "inner").trace


INNER_SCORE = log_normal_density(1.0, 0.0) + log_normal_density(2.0, 1.0)


def test_update_of_a_changed_callee_generates_under_the_old_choices() -> None:
    moved, weight, _, discard = outer_at_inner().update({("sub", "c"): 3.0}, outer("other"))

    new = log_normal_density(1.0, 0.0, 2.0) + log_normal_density(3.0, 1.0, 2.0)
    close(weight, new - INNER_SCORE)
    close(moved.score, new)
    assert dict(discard.items()) == {("sub", "b"): torch.tensor(2.0)}


def test_regenerate_of_a_changed_callee_compares_the_shared_choices() -> None:
    moved, weight, _, discard = outer_at_inner().regenerate(NONE, outer("other"))

    close(weight, log_normal_density(1.0, 0.0, 2.0) - log_normal_density(1.0, 0.0))
    assert moved["sub", "a"] == 1.0
    assert dict(discard.items()) == {("sub", "b"): torch.tensor(2.0)}


def test_regenerate_of_a_changed_callee_charges_nothing_for_selected_choices() -> None:
    _, weight, _, discard = outer_at_inner().regenerate(select(("sub", "a")), outer("other"))

    close(weight, 0.0)
    assert set(discard.keys()) == {("sub", "a"), ("sub", "b")}


@pytest.mark.parametrize("which", ["choice", "alone"])
def test_a_vanished_callee_pays_its_score_in_update_and_nothing_in_regenerate(which: str) -> None:
    trace = outer_at_inner()

    updated, weight, _, discard = trace.update({}, outer(which))
    close(weight, -INNER_SCORE)
    assert discard == trace.choices

    regenerated, weight, _, discard = trace.regenerate(NONE, outer(which))
    close(weight, 0.0)
    assert discard == trace.choices
    assert len(updated.choices) == len(regenerated.choices) == 1


def test_a_choice_replaced_by_a_callee_is_discarded() -> None:
    trace, _ = outer.generate({"sub": 0.5}, "choice")

    moved, weight, _, discard = trace.update({}, outer("inner"))

    close(weight, -log_normal_density(0.5, 0.0))
    assert dict(discard.items()) == {"sub": torch.tensor(0.5)}
    assert set(moved.choices.keys()) == {("sub", "a"), ("sub", "b")}


def test_edits_of_a_callee_are_the_callers_too() -> None:
    moved, weight, _, discard = outer_at_inner().update({("sub", "a"): 0.0})

    new = log_normal_density(0.0, 0.0) + log_normal_density(2.0, 0.0)
    close(weight, new - INNER_SCORE)
    close(moved.score, new)
    assert dict(discard.items()) == {("sub", "a"): torch.tensor(1.0)}


def test_project_sums_the_selected_densities() -> None:
    trace = outer_at_inner()

    close(trace.project(ALL), INNER_SCORE)
    close(trace.project(NONE), 0.0)
    close(trace.project(select(("sub", "b"))), log_normal_density(2.0, 1.0))
    close(trace.project(~select(("sub", "b"))), log_normal_density(1.0, 0.0))


def test_the_score_does_not_drift_over_many_edits() -> None:
    trace: Trace[Any] = pair_at(0.0, 0.0)
    generator = torch.Generator().manual_seed(1)
    for value in torch.randn(500, generator=generator):
        trace = trace.update({"x": value * 100}).trace
        trace = trace.update({"y": value}).trace

    assessed = pair.assess(trace.choices, 0.0, 0.0)

    torch.testing.assert_close(trace.score, assessed.score, rtol=1e-6, atol=1e-6)


def test_an_edit_away_from_an_impossible_trace_has_a_finite_score() -> None:
    @gen
    def model() -> Tensor:
        x = bernoulli(0.5) @ "x"
        return bernoulli(1.0 if x else 0.5) @ "y"

    trace, weight = model.generate({"x": 1, "y": 0})
    assert weight == -math.inf

    moved, _, _, _ = trace.update({"y": 1})

    close(moved.score, math.log(0.5))
