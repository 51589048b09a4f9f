"""What is left when a model fails, and what the exception says about where."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from inspect import Signature
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import (
    ALL,
    Call,
    ChangedInPlaceError,
    ChoiceMap,
    Generated,
    GenerativeFunction,
    ParameterError,
    Selection,
    Trace,
    inline,
    rooms,
)
from gen_core.run import current_handler
from gen_distributions import normal
from gen_dml import gen


class Failure(Exception):
    pass


@gen
def fails(when: bool) -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    if when:
        raise Failure
    return x


@gen
def middle(when: bool) -> Tensor:
    return fails(when) @ ("b", 2)


@gen
def top(when: bool) -> Tensor:
    normal(0.0, 1.0) @ "first"
    return middle(when) @ "a"


@gen
def splices(when: bool) -> Tensor:
    return top(when) @ inline


OPERATIONS: dict[str, Callable[[], object]] = {
    "simulate": lambda: top.simulate(True),
    "generate": lambda: top.generate({"first": 0.0}, True),
    "assess": lambda: top.assess(top.simulate(False).choices, True),
    "propose": lambda: top.propose(True),
    "sample": lambda: top(True).sample(),
    "update": lambda: top.simulate(False).update({}, top(True)),
    "regenerate": lambda: top.simulate(False).regenerate(ALL, top(True)),
    "inline": lambda: splices.simulate(True),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_exception_says_where_and_leaves_nothing_behind(operation: str) -> None:
    with pytest.raises(Failure) as caught:
        OPERATIONS[operation]()

    (note,) = caught.value.__notes__
    assert note.startswith("Raised in fails (") and "test_failing.py:" in note
    assert note.endswith("at address ('a', 'b', 2).")
    assert current_handler() is None
    assert top.simulate(False).retval is not None


@gen
def refuses(scale: float) -> Tensor:
    return normal(0.0, scale) @ ("x", 1)


@gen
def calls_what_refuses(scale: float) -> Tensor:
    return refuses(scale) @ "sub"


@gen
def splices_what_refuses(scale: float) -> Tensor:
    return refuses(scale) @ inline


@pytest.mark.parametrize("model", [refuses, calls_what_refuses, splices_what_refuses])
def test_a_parameter_that_torch_refuses_is_reported_with_address_and_model(model: Any) -> None:
    message = r"^Expected `scale` of normal to be positive, but got -1.0, at address \('x', 1\) in refuses\."
    trace = model.simulate(1.0)

    with pytest.raises(ParameterError, match=message) as caught:
        model.simulate(-1.0)
    with pytest.raises(ParameterError, match=message):
        trace.regenerate(ALL, model(-1.0))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


class Wraps(GenerativeFunction[[], Tensor]):
    """A normal that cannot be, entered by its room: no body of a model runs that would know an address."""

    def __init__(self) -> None:
        super().__init__("wraps", Signature())

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Tensor]:
        return rooms.generate(normal(0.0, -1.0), constraints)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        return rooms.project(trace, selection)


def test_a_parameter_error_gets_the_innermost_address_that_is_known() -> None:
    @gen
    def model() -> Tensor:
        return Wraps()() @ "below"

    with pytest.raises(ParameterError, match=r"got -1.0, at address 'below' in model\."):
        model.simulate()
    with pytest.raises(ParameterError, match=r"got -1.0\.$"):
        Wraps().simulate()


def test_the_line_is_that_of_the_failure() -> None:
    code = fails.source.__code__

    with pytest.raises(Failure) as caught:
        fails.simulate(True)

    (note,) = caught.value.__notes__
    assert f"test_failing.py:{code.co_firstlineno + 4})." in note


def test_an_exception_that_a_model_catches_leaves_the_model_running() -> None:
    @gen
    def forgiving() -> str:
        try:
            fails(True) @ "try"
        except Failure:
            normal(0.0, 1.0) @ "instead"
        return "done"

    trace = forgiving.simulate()

    assert trace.retval == "done"
    assert "instead" in trace and "try" not in trace


def test_a_model_that_runs_another_by_itself_goes_on_with_its_own_choices() -> None:
    @gen
    def nests() -> None:
        normal(0.0, 1.0) @ "before"
        fails.simulate(False)
        with pytest.raises(Failure):
            fails.simulate(True)
        normal(0.0, 1.0) @ "after"

    assert nests.simulate().choices.keys() == ["before", "after"]


def test_an_interruption_leaves_no_handler() -> None:
    @gen
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.simulate()

    assert current_handler() is None


# Changes in place.


@gen
def changes_its_argument() -> None:
    mu = torch.zeros(3)
    normal(mu, 1.0) @ "y"
    mu += 1.0


@gen
def changes_its_value() -> None:
    x = normal(torch.zeros(3), 1.0) @ "y"
    x[0] = 5.0


@gen
def changes_a_view() -> None:
    x = normal(torch.zeros(3), 1.0) @ "y"
    x[1:].zero_()


@gen
def changes_below() -> None:
    changes_its_argument() @ "sub"


@pytest.mark.parametrize("model", [changes_its_argument, changes_its_value, changes_a_view, changes_below])
def test_a_change_in_place_is_an_error_that_names_the_choice(model: Any) -> None:
    with pytest.raises(ChangedInPlaceError, match=r"choice at 'y' in changes_.*Write `mu = mu \+ x`"):
        model.simulate()
    with pytest.raises(ChangedInPlaceError, match="'y'"):
        model.generate({})


def test_a_new_tensor_in_the_place_of_the_old_one_is_no_error() -> None:
    @gen
    def steps() -> Tensor:
        mu = torch.zeros(())
        for t in range(3):
            mu = mu + normal(mu, 1.0) @ ("x", t)
        return mu

    trace = steps.simulate()
    torch.testing.assert_close(trace.score, steps.assess(trace.choices).score)


def test_what_is_changed_before_the_choice_is_no_error() -> None:
    @gen
    def fills() -> None:
        mu = torch.zeros(3)
        mu[0] = 1.0
        normal(mu, 1.0) @ "y"

    assert "y" in fills.simulate()


def test_a_change_after_the_run_is_seen_by_the_next_edit() -> None:
    xs = torch.zeros(3)

    @gen
    def line(xs: Tensor) -> None:
        normal(xs, 1.0) @ "y"

    trace = line.simulate(xs)
    xs += 1.0
    updated = trace.update({})

    torch.testing.assert_close(updated.trace.score, line.assess(trace.choices, xs).score)
    torch.testing.assert_close(updated.weight, updated.trace.score - trace.score)
