"""Unvisited constraints and unknown selections: judged once, by the outermost call, under a policy."""

from __future__ import annotations

import threading
import warnings

import pytest

from gen_core import (
    GenWarning,
    UnknownSelectionError,
    UnvisitedConstraintsError,
    select,
    selection_of,
    unvisited,
)
from gen_distributions import bernoulli, normal
from gen_dml import gen


@gen
def inner() -> None:
    normal(0.0, 1.0) @ "x"


@gen
def model(n: int = 1) -> None:
    for i in range(n):
        normal(0.0, 1.0) @ ("y", i)
    if bernoulli(0.5) @ "coin":
        inner() @ "inner"


def test_generate_names_the_unvisited_constraint_and_the_nearest_address() -> None:
    with pytest.raises(UnvisitedConstraintsError, match=r"model never visited 'coins', .*visited 'coin'"):
        model.generate({"coins": True})


def test_assess_and_update_judge_as_well() -> None:
    trace = model.generate({"coin": False}).trace

    with pytest.raises(UnvisitedConstraintsError, match=r"never visited \('y', 1\)"):
        model.assess({"coin": False, ("y", 0): 1.0, ("y", 1): 1.0})
    with pytest.raises(UnvisitedConstraintsError, match=r"never visited \('y', 1\)"):
        trace.update({("y", 1): 1.0})


def test_a_constraint_of_a_callee_that_is_not_called_is_unvisited() -> None:
    with pytest.raises(UnvisitedConstraintsError, match=r"never visited \('inner', 'x'\)"):
        model.generate({"coin": False, "inner": {"x": 1.0}})

    assert model.generate({"coin": True, "inner": {"x": 1.0}}).trace["inner", "x"] == 1.0


def test_constraints_may_be_visited_by_the_new_call_only() -> None:
    trace = model.generate({"coin": False}).trace

    assert trace.update({("y", 1): 1.0}, model(2)).trace["y", 1] == 1.0


def test_a_literal_address_in_a_selection_must_exist_before_or_after() -> None:
    trace = model.generate({"coin": False}).trace

    with pytest.raises(UnknownSelectionError, match=r"model has no choice at 'cion'.*'coin'"):
        trace.regenerate(select("cion"))
    with pytest.raises(UnknownSelectionError, match=r"\('y', 3\)"):
        trace.project(select(("y", 3)))
    assert trace.regenerate(select(("y", 1)), model(2)).trace["y", 1] is not None


def test_addresses_taken_from_choices_need_not_exist() -> None:
    trace = model.generate({"coin": False}).trace

    assert trace.project(selection_of({"elsewhere": 1.0})) == 0.0


def test_a_warning_takes_the_place_of_the_error() -> None:
    with unvisited("warn"), pytest.warns(GenWarning, match="never visited 'coins'") as caught:
        trace, weight = model.generate({"coins": True})

    assert weight == 0.0
    assert "coins" not in trace
    assert caught[0].filename == __file__


def test_nothing_is_said_where_it_is_ignored() -> None:
    trace = model.generate({"coin": False}).trace

    with unvisited("ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        model.generate({"coins": True})
        trace.regenerate(select("cion"))
        trace.update({"elsewhere": 1.0})


def test_policies_nest_and_end_with_their_block() -> None:
    with unvisited("ignore"):
        with unvisited("error"), pytest.raises(UnvisitedConstraintsError):
            model.generate({"coins": True})
        model.generate({"coins": True})

    with pytest.raises(UnvisitedConstraintsError):
        model.generate({"coins": True})


def test_a_policy_ends_when_an_exception_leaves_its_block() -> None:
    with pytest.raises(KeyError), unvisited("ignore"):
        raise KeyError("mine")

    with pytest.raises(UnvisitedConstraintsError):
        model.generate({"coins": True})


def test_a_policy_is_that_of_its_thread() -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            model.generate({"coins": True})
        except UnvisitedConstraintsError as error:
            raised.append(error)

    with unvisited("ignore"):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    assert len(raised) == 1


def test_another_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="but got 'silent'"), unvisited("silent"):  # type: ignore[arg-type]
        pass
