"""Switch and or_else, where the index can be read."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gen_combinators import (
    BranchArgumentsError,
    BranchIndexError,
    FlagError,
    KernelError,
    NoBranchesError,
    Switch,
    or_else,
)
from gen_combinators.branch_trace import BranchTrace
from gen_core import (
    ALL,
    EMPTY,
    NONE,
    UNCHANGED,
    UNKNOWN,
    Trace,
    UnvisitedConstraintsError,
    choicemap,
    param,
    select,
    trace_from_state,
    trace_to_state,
)
from gen_distributions import bernoulli, gamma, normal
from gen_dml import gen


@gen
def a() -> bool:
    x = bernoulli(0.3) @ "x"
    bernoulli(0.6 if x else 0.2) @ "y"
    return bool(x)


@gen
def b() -> bool:
    x = bernoulli(0.7) @ "x"
    bernoulli(0.9 if x else 0.4) @ "z"
    return bool(x)


EITHER = Switch(a, b)


@pytest.fixture
def trace() -> Trace[bool]:
    return EITHER.generate({"x": True, "y": False}, 0).trace


def test_the_worked_example_starts_with_probability_012(trace: Trace[bool]) -> None:
    assert float(trace.score) == pytest.approx(math.log(0.12))
    assert trace.choices == choicemap({"x": torch.tensor(True), "y": torch.tensor(False)})


def test_update_to_another_branch_keeps_shared_choices_and_draws_new_ones(trace: Trace[bool]) -> None:
    updated = trace.update({}, EITHER(1))

    assert float(updated.weight) == pytest.approx(math.log(0.7) - math.log(0.12))
    assert updated.discard == choicemap({"y": torch.tensor(False)})
    assert updated.trace["x"] and "z" in updated.trace and "y" not in updated.trace
    assert updated.retdiff is UNCHANGED


def test_a_constraint_on_the_new_branch_counts(trace: Trace[bool]) -> None:
    updated = trace.update({"z": True}, EITHER(1))

    back = updated.trace.update(updated.discard, EITHER(0))

    assert float(updated.weight) == pytest.approx(math.log(0.63) - math.log(0.12))
    assert float(back.weight) == pytest.approx(-float(updated.weight))
    assert back.trace.choices == trace.choices
    assert back.discard == choicemap({"z": torch.tensor(True)})


def test_regenerate_to_another_branch_weighs_only_what_both_have(trace: Trace[bool]) -> None:
    kept = trace.regenerate(NONE, EITHER(1))
    moved = trace.regenerate(ALL, EITHER(1))

    assert float(kept.weight) == pytest.approx(math.log(0.7) - math.log(0.3))
    assert kept.discard == choicemap({"y": torch.tensor(False)})
    assert float(moved.weight) == 0.0 and moved.discard == trace.choices


@pytest.mark.parametrize(
    "index", [1, True, np.int64(1), torch.tensor(1), torch.tensor(True), torch.tensor(1, dtype=torch.int32)]
)
def test_an_index_may_be_anything_that_counts(index: Any) -> None:
    assert "z" in EITHER.simulate(index)


@pytest.mark.parametrize(
    "index", [2, -1, 1.0, "1", None, torch.tensor([1]), torch.tensor(1.0), torch.tensor(2)]
)
def test_an_index_that_is_none_is_refused(index: Any) -> None:
    with pytest.raises(
        BranchIndexError, match=r"Expected the index of Switch\(a, b\) .* from 0 to 1, but got"
    ):
        EITHER.simulate(index)


def test_a_constraint_on_the_other_branch_is_not_visited(trace: Trace[bool]) -> None:
    with pytest.raises(UnvisitedConstraintsError, match=r"Switch\(a, b\) never visited 'z'"):
        EITHER.generate({"z": True}, 0)
    with pytest.raises(UnvisitedConstraintsError, match="never visited 'y'"):
        trace.update({"y": True}, EITHER(1))


@pytest.mark.unverified
def test_the_same_branch_is_edited_incrementally() -> None:
    runs = []

    @gen
    def counting(x: float, y: Tensor) -> Tensor:
        runs.append(x)
        return normal(x, 1.0) @ "x"

    one_of = Switch(counting, normal)
    y = torch.tensor(1.0)
    trace = one_of.simulate(0, 0.5, y)
    runs.clear()

    same = trace.update({}, one_of(torch.tensor(0), 0.5, y))

    assert runs == [] and same.retdiff is UNCHANGED and float(same.weight) == 0.0
    assert same.trace.call.args[0].item() == 0
    assert trace.update({}, one_of(0, 0.7, y)).retdiff is UNCHANGED and runs == [0.7]


@pytest.mark.unverified
def test_a_value_that_is_passed_on_by_a_dynamic_caller_stops_an_edit() -> None:
    runs = []

    @gen
    def counting(x: Tensor) -> Tensor:
        runs.append(x)
        return normal(x, 1.0) @ "x"

    @gen
    def caller(noise: float) -> Tensor:
        mean = Switch(normal)(0, 0.0, 1.0) @ "mean"
        value = Switch(counting, counting)(1, mean) @ "value"
        return normal(value, noise) @ "end"

    trace = caller.simulate(1.0)
    runs.clear()
    trace.update({}, caller(2.0))

    assert runs == []


def test_branches_with_other_parameter_names_and_defaults_take_the_same_arguments() -> None:
    @gen
    def level(mean: float, scale: float = 2.0) -> Tensor:
        return normal(mean, scale) @ "x"

    @gen
    def jump(to: float) -> Tensor:
        return normal(to, 1.0) @ "x"

    one_of = Switch(level, jump)
    trace = one_of.simulate(0, 0.5)

    moved = trace.update({}, one_of(1, 0.5))
    again = trace.update({}, one_of(0, 0.9), argdiffs={"index": UNCHANGED})

    assert float(moved.weight) == pytest.approx(
        float(normal.log_prob(trace["x"], 0.5, 1.0) - normal.log_prob(trace["x"], 0.5, 2.0)), abs=1e-5
    )
    assert float(again.trace.score) == pytest.approx(float(normal.log_prob(trace["x"], 0.9, 2.0)), abs=1e-5)


def test_keyword_arguments_and_names_of_hints_are_those_of_the_branches() -> None:
    @gen
    def one(x: float, *, scale: float = 1.0) -> Tensor:
        return normal(x, scale) @ "x"

    @gen
    def two(x: float, *, scale: float = 1.0) -> Tensor:
        return normal(-x, scale) @ "x"

    one_of = Switch(one, two)
    trace = one_of.simulate(1, 0.5, scale=3.0)

    updated = trace.update({}, one_of(1, 0.5, scale=2.0), argdiffs={"x": UNCHANGED, "scale": UNKNOWN})

    assert str(one_of.signature) == "(index, /, x: 'float', *, scale: 'float' = 1.0)"
    assert float(updated.trace.score) == pytest.approx(
        float(normal.log_prob(trace["x"], -0.5, 2.0)), abs=1e-5
    )


def test_arguments_that_a_branch_does_not_take_are_refused_by_name() -> None:
    with pytest.raises(BranchArgumentsError, match=r"Branch 1 of Switch\(a, normal\), normal, does not take"):
        Switch(a, normal).simulate(1)


@pytest.mark.parametrize(
    ("branches", "error", "message"),
    [((), NoBranchesError, "at least one"), ((a, print), KernelError, "kernel of Switch to be a generative")],
)
def test_what_is_no_branch_is_refused(branches: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Switch(*branches)


def test_switches_of_equal_branches_are_equal_and_are_saved_by_their_name(trace: Trace[bool]) -> None:
    loaded = trace_from_state(trace_to_state(trace))

    assert Switch(a, b) == EITHER and hash(Switch(a, b)) == hash(EITHER) and Switch(b, a) != EITHER
    assert EITHER.reference == f"{__name__}:EITHER"
    assert loaded.gen_fn is EITHER and loaded.choices == trace.choices
    assert repr(EITHER).startswith("<generative function Switch(a, b)")


def test_branches_lend_their_modules_and_parameters() -> None:
    net = nn.Linear(2, 1)

    @gen
    def linear(x: Tensor) -> Tensor:
        return normal(net(x), 1.0) @ "y"

    @gen
    def constant(x: Tensor) -> Tensor:
        return normal(param("level", torch.zeros(1)), 1.0) @ "y"

    one_of = Switch(linear, constant)
    traces = [one_of.generate({"y": torch.ones(1)}, index, torch.ones(2)).trace for index in (0, 1)]

    module = one_of.get_torch_nn_module()
    for trace in traces:
        trace.accumulate_param_gradients()

    assert {name.rpartition(".")[2] for name, _ in module.named_parameters()} == {"weight", "bias", "level"}
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_gradients_are_those_of_the_branch() -> None:
    x = torch.tensor(0.5)
    trace = Switch(normal, gamma).simulate(torch.tensor(0), x, 2.0)

    found = trace.choice_gradients(select(()) | ALL, retgrad=torch.tensor(1.0))

    alone = normal.generate({(): trace.retval}, x, 2.0).trace.choice_gradients(ALL, retgrad=torch.tensor(1.0))
    assert found.args.args[0] is None
    assert torch.allclose(found.args.args[1], alone.args.args[0])
    assert torch.allclose(found.gradients[()], alone.gradients[()])


def test_or_else_gives_each_branch_its_own_arguments() -> None:
    one_of = or_else(normal, gamma)
    trace = one_of.generate({(): 1.5}, True, (0.0, 1.0), (2.0, 3.0)).trace

    updated = trace.update({}, one_of(torch.tensor(False), (0.0, 1.0), (2.0, 3.0)))

    assert float(trace.score) == pytest.approx(float(normal.log_prob(1.5, 0.0, 1.0)))
    assert float(updated.weight) == pytest.approx(
        float(gamma.log_prob(1.5, 2.0, 3.0) - normal.log_prob(1.5, 0.0, 1.0)), abs=1e-6
    )
    assert updated.discard == EMPTY and repr(one_of).startswith("<generative function or_else(normal, gamma)")


@pytest.mark.unverified
def test_or_else_edits_only_what_the_taken_branch_is_given() -> None:
    runs = []

    @gen
    def counting(x: float) -> Tensor:
        runs.append(x)
        return normal(x, 1.0) @ "x"

    one_of = or_else(counting, counting)
    trace = one_of.simulate(True, (0.5,), (1.0,))
    runs.clear()

    updated = trace.update({}, one_of(True, (0.5,), (2.0,)))

    assert runs == [] and updated.retdiff is UNCHANGED
    assert isinstance(updated.trace, BranchTrace) and updated.trace.args[2] == (2.0,)


@pytest.mark.parametrize("condition", [1, None, 0.0, torch.tensor(1), torch.tensor([True])])
def test_a_condition_that_is_not_true_or_false_is_refused(condition: Any) -> None:
    with pytest.raises(FlagError, match=r"Expected `condition` of or_else\(a, b\) to be a bool"):
        or_else(a, b).simulate(condition, (), ())


def test_errors_survive_pickling() -> None:
    with pytest.raises(BranchIndexError) as caught:
        EITHER.simulate(3)

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
