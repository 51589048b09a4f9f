"""What a dynamic function knows of changes, and what it passes on to its callees."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import (
    UNCHANGED,
    UNKNOWN,
    ArgumentDiffError,
    Diff,
    GenerativeFunction,
    HintError,
    Trace,
    VectorDiff,
    plugins,
    select,
    verify_hints,
)
from gen_core.hookspecs import gen_edits, implements
from gen_distributions import normal
from gen_dml import DynamicFunction, gen


def recording() -> tuple[AbstractContextManager[None], list[tuple[str, tuple[Diff, ...]]]]:
    """Return a plugin's edit of dynamic functions that notes the hints each update is given."""
    seen: list[tuple[str, tuple[Diff, ...]]] = []

    def update(gen_fn: Any, trace: Any, call: Any, argdiffs: Any, constraints: Any) -> Any:
        seen.append((gen_fn.name, argdiffs))
        return DynamicFunction.do_update(gen_fn, trace, call, argdiffs, constraints)

    class Plugin:
        @staticmethod
        @implements(gen_edits)
        def edits() -> Mapping[tuple[type[Any], str], Any]:
            return {(DynamicFunction, "update"): update}

    return plugins.registered(Plugin, "recorder"), seen


@gen
def leaf(loc: Any, extra: Any = 0.0) -> Tensor:
    return normal(loc, 1.0) @ "x"


@gen
def passes(values: list[float], loc: Tensor | float) -> Tensor:
    x = normal(0.0, 1.0) @ "free"
    first = leaf(loc, values) @ "first"
    second = leaf(first) @ "second"
    third = leaf(x) @ "third"
    return first + second + third


def update_hints(trace: Trace[Any], *args: Any, **kwargs: Any) -> dict[str, list[tuple[Diff, ...]]]:
    context, seen = recording()
    with context:
        trace.update(*args, **kwargs)
    found: dict[str, list[tuple[Diff, ...]]] = {}
    for name, diffs in seen:
        found.setdefault(name, []).append(diffs)
    return found


@pytest.mark.unverified
def test_callees_with_unchanged_arguments_are_not_entered() -> None:
    trace = passes.simulate([1.0, 2.0], 0.5)

    hints = update_hints(trace, {("third", "x"): 1.0})

    assert hints["leaf"] == [(UNCHANGED, UNCHANGED)]


@pytest.mark.unverified
def test_a_changed_scalar_is_unknown_and_an_equal_one_unchanged() -> None:
    values = [1.0, 2.0]
    trace = passes.simulate(values, 0.5)

    hints = update_hints(trace, {}, passes(values, 1.5))

    # A list may have been changed in place, so it is UNKNOWN without a hint.
    assert hints["passes"] == [(UNKNOWN, UNKNOWN)]
    assert hints["leaf"] == [(UNKNOWN, UNKNOWN)]


@pytest.mark.unverified
def test_a_hint_for_an_argument_is_carried_to_the_callee_that_gets_it() -> None:
    values = [1.0, 2.0]
    trace = passes.simulate(values, 0.5)
    longer = [1.0, 2.0, 3.0]
    diff = VectorDiff(3, 2)

    hints = update_hints(trace, {}, passes(longer, 0.5), argdiffs={"values": diff})

    assert hints["passes"] == [(diff, UNCHANGED)]
    assert hints["leaf"] == [(UNCHANGED, diff)]


@pytest.mark.unverified
def test_the_same_tensor_is_unchanged_until_it_is_changed_in_place() -> None:
    loc = torch.tensor(0.5)
    values = [1.0]
    trace = passes.simulate(values, loc)

    assert len(update_hints(trace, {"free": 2.0})["leaf"]) == 1  # the first callee is not entered
    with torch.no_grad():
        loc.add_(1.0)
    moved, weight, _, _ = trace.update({})

    assert weight != 0.0
    torch.testing.assert_close(moved.score, passes.assess(moved.choices, values, loc).score)


@pytest.mark.unverified
def test_a_retval_that_did_not_change_stops_the_propagation() -> None:
    trace = passes.simulate([1.0], 0.5)

    hints = update_hints(trace, {"free": 2.0})

    assert hints["leaf"] == [(UNKNOWN, UNCHANGED)]  # only the third, whose argument is the free choice


def test_a_retdiff_says_whether_the_return_value_changed() -> None:
    @gen
    def model(a: float, b: float) -> tuple[Tensor, list[Tensor]]:
        x = normal(a, 1.0) @ "x"
        normal(b, 1.0) @ "y"
        return x, [x]

    trace = model.simulate(0.0, 0.0)

    assert trace.update({}, model(1.0, 0.0)).retdiff is UNCHANGED
    assert trace.update({"y": 1.0}).retdiff is UNCHANGED
    assert trace.update({"x": 1.0}).retdiff is UNKNOWN
    assert trace.regenerate(select("x")).retdiff is UNKNOWN


def test_updating_nothing_returns_the_same_trace() -> None:
    trace = passes.simulate([1.0], 0.5)

    moved, weight, retdiff, discard = trace.update({})

    assert moved is trace
    assert weight == 0.0
    assert retdiff is UNCHANGED
    assert discard.is_empty


def test_a_hint_must_name_a_parameter() -> None:
    trace = passes.simulate([1.0], 0.5)

    with pytest.raises(ArgumentDiffError, match=r"parameters \(values, loc\).* but got 'value'"):
        trace.update({}, argdiffs={"value": UNCHANGED})
    with pytest.raises(ArgumentDiffError, match="but got 'values': 3"):
        trace.update({}, argdiffs={"values": 3})  # type: ignore[dict-item]


def test_a_lying_hint_is_found_by_verification() -> None:
    @gen
    def model(loc: list[float]) -> Tensor:
        return normal(loc[0], 1.0) @ "x"

    @gen
    def caller(loc: list[float]) -> Tensor:
        normal(0.0, 1.0) @ "free"
        return model(loc) @ "sub"

    trace = caller.simulate([0.0])

    with verify_hints(), pytest.raises(HintError, match="of caller with the hints"):
        trace.update({"free": 1.0}, caller([5.0]), argdiffs={"loc": UNCHANGED})
    with verify_hints():
        trace.update({"free": 1.0}, caller([5.0]))


def test_a_function_captured_by_a_hint_is_compared_by_equality() -> None:
    def make(scale: float) -> GenerativeFunction[[float], Tensor]:
        @gen
        def prior(loc: float) -> Tensor:
            return normal(loc, scale) @ "x"

        return prior

    @gen
    def apply(prior: GenerativeFunction[[float], Tensor]) -> Tensor:
        return prior(0.0) @ "p"

    trace = apply.simulate(make(1.0))

    assert trace.update({}, apply(make(1.0))).trace is trace
    assert trace.update({}, apply(make(2.0))).trace["p"] == trace["p"]
