"""Edits of static functions run what a change reaches, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import (
    UNCHANGED,
    UNKNOWN,
    Diff,
    DuplicateAddressError,
    Generated,
    GenerativeFunction,
    VectorDiff,
    batch,
    choicemap,
    choose,
    select,
    verify_hints,
)
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_sml import StaticFunction, StaticTrace, static
from gen_sml.program import MOST_FUNCTIONS

RUNS: list[str] = []


@pytest.fixture(autouse=True)
def no_runs() -> Iterator[None]:
    RUNS.clear()
    yield


def noted(name: str, value: Any) -> Any:
    RUNS.append(name)
    return value


def runs() -> list[str]:
    found = RUNS.copy()
    RUNS.clear()
    return found


@static
def model(x: float, flag: bool) -> Tensor:
    a = normal(noted("a", x), 1.0) @ "a"
    doubled = noted("doubled", a * 2)
    is_big = noted("is_big", bool(doubled > 0))
    scale = noted("scale", 2.0 if is_big else 1.0)
    b = normal(0.0, scale) @ "b"
    negated = noted("negated", not flag)
    normal(b, 3.0 if negated else 4.0) @ "c"
    return noted("result", a + b)  # type: ignore[no-any-return]


@pytest.mark.unverified
@pytest.mark.parametrize("repeats", [1, 3])
def test_only_what_a_constraint_reaches_is_run(repeats: int) -> None:
    trace = model.generate({"a": 1.0, "b": 0.5}, 0.5, True).trace
    runs()

    for _ in range(repeats):
        trace.update({"c": 1.0})
        assert runs() == []
        trace.update({"b": 1.0})
        assert runs() == ["result"]
        trace.update({"a": -1.0})
        assert runs() == ["doubled", "is_big", "scale", "result"]


@pytest.mark.unverified
@pytest.mark.parametrize("repeats", [1, 3])
def test_a_value_that_stays_stops_the_change(repeats: int) -> None:
    trace = model.generate({"a": 1.0, "b": 0.5}, 0.5, True).trace
    runs()

    for _ in range(repeats):
        trace.update({"a": 2.0})
        assert runs() == ["doubled", "is_big", "result"]
        trace.regenerate(select("c"))
        assert runs() == []


@pytest.mark.unverified
def test_a_changed_argument_reaches_what_reads_it() -> None:
    trace = model.generate({"a": 1.0}, 0.5, True).trace
    runs()

    trace.update({}, model(0.5, False))
    assert runs() == ["negated"]
    moved = trace.update({}, model(0.7, True))
    assert runs() == ["a"]
    assert moved.retdiff is UNCHANGED


@pytest.mark.unverified
def test_unknown_for_all_arguments_runs_everything() -> None:
    trace = model.simulate(0.5, True)
    everything = runs()

    trace.update({}, argdiffs=UNKNOWN)

    assert runs() == everything


def test_slots_that_an_edit_does_not_touch_are_the_same_objects() -> None:
    trace = model.simulate(0.5, True)

    moved = trace.update({"c": 1.0}).trace

    assert isinstance(trace, StaticTrace) and isinstance(moved, StaticTrace)
    kept = [a is b for a, b in zip(trace.slots.records, moved.slots.records, strict=True)]
    assert kept == [True, True, False]


@gen
def callee(values: list[Tensor], loc: Any) -> Tensor:
    noted("callee", None)
    return normal(torch.stack(values).sum() + loc, 1.0) @ "x"


@static
def calls(values: list[Tensor], loc: float) -> Tensor:
    first = callee(values, loc) @ "first"
    return callee(values, first) @ "second"


@pytest.mark.unverified
def test_a_callee_that_reports_unchanged_stops_the_change() -> None:
    trace = calls.simulate([torch.ones(())], 0.5)
    runs()

    moved = trace.update({}, calls(trace.args[0], 1.5), argdiffs={"values": UNCHANGED})

    assert runs() == ["callee"]
    assert moved.retdiff is UNCHANGED
    torch.testing.assert_close(moved.trace.score, calls.assess(moved.trace.choices, *moved.trace.args).score)


@pytest.mark.unverified
def test_hints_travel_with_values() -> None:
    seen: list[tuple[Diff, ...]] = []

    class Recorder(GenerativeFunction[..., Any]):
        def __init__(self) -> None:
            super().__init__("recorder", first.signature)

        def do_generate(self, call: Any, constraints: Any, /) -> Generated[Any]:
            return first.do_generate(call, constraints)

        def do_update(self, trace: Any, call: Any, argdiffs: Any, constraints: Any, /) -> Any:
            seen.append(argdiffs)
            return super().do_update(trace, call, argdiffs, constraints)

        def do_project(self, trace: Any, selection: Any, /) -> Tensor:
            score: Tensor = first.do_project(trace, selection)
            return score

    @gen
    def first(values: list[float], options: dict[str, float]) -> Tensor:
        return normal(sum(values), options["scale"]) @ "x"

    recorder = Recorder()

    @static
    def caller(values: list[float], options: dict[str, float]) -> Tensor:
        same = values
        value: Tensor = recorder(same, options) @ "sub"
        return value

    options = {"scale": 1.0}
    trace = caller.simulate([1.0], options)
    diff = VectorDiff(2, 1)
    trace.update({}, caller([1.0, 2.0], options), argdiffs={"values": diff, "options": UNCHANGED})

    assert seen == [(diff, UNCHANGED)]


@static
def moving(i: int) -> Tensor:
    first = bernoulli(0.3) @ ("at", i)
    second = bernoulli(0.6) @ ("at", 1 - i)
    return first & second


def test_addresses_that_change_places_keep_their_values() -> None:
    trace = moving.generate({("at", 0): True, ("at", 1): False}, 0).trace

    moved, weight, _, discard = trace.update({}, moving(1))

    assert moved.choices == trace.choices and not discard
    expected = moving.assess(trace.choices, 1).score - trace.score
    torch.testing.assert_close(weight, expected)


@static
def colliding(i: int, j: int) -> None:
    bernoulli(0.3) @ ("at", i)
    bernoulli(0.6) @ ("at", j)


def test_addresses_that_collide_are_refused_in_every_operation() -> None:
    with pytest.raises(
        DuplicateAddressError, match=r"colliding .*test_updates.py:.* visited \('at', 1\) twice"
    ):
        colliding.simulate(1, 1)
    trace = colliding.simulate(1, 2)
    with pytest.raises(DuplicateAddressError, match=r"visited \('at', 2\) twice"):
        trace.update({}, colliding(2, 2))


def wide() -> StaticFunction[..., Any]:
    @static
    def model() -> Tensor:
        a = normal(0.0, 1.0) @ "a"
        b = normal(a, 1.0) @ "b"
        c = normal(b, 1.0) @ "c"
        d = normal(c, 1.0) @ "d"
        e = normal(d, 1.0) @ "e"
        f = normal(e, 1.0) @ "f"
        g = normal(f, 1.0) @ "g"
        h = normal(g, 1.0) @ "h"
        return normal(h, 1.0) @ "i"

    return model


def test_the_number_of_specialised_functions_is_bounded() -> None:
    model = wide()
    trace = model.simulate()
    donor = model.simulate().choices
    names = donor.keys()

    for number in range(2**9):
        chosen = select(*[name for bit, name in enumerate(names) if number >> bit & 1])
        for _ in range(2):
            trace = trace.update(donor.filter(chosen)).trace

    assert len(model.program._functions) <= MOST_FUNCTIONS
    torch.testing.assert_close(trace.score, model.assess(trace.choices).score)


def test_verification_finds_no_difference() -> None:
    trace = model.simulate(0.5, True)

    with verify_hints():
        trace.update({"a": 1.0})
        trace.update({}, model(0.6, False))


@static
def with_objects(x: Any) -> Tensor:
    helper = partial(torch.mul, torch.tensor(2.0))
    a = normal(x, 1.0) @ "a"
    return normal(helper(a), 1.0) @ "b"


def test_values_that_cannot_be_batched_are_computed_again() -> None:
    traces = batch(with_objects.simulate, 0)(torch.zeros(4))
    one = traces[2]

    moved = one.update({"a": 1.0}).trace

    torch.testing.assert_close(moved.score, with_objects.assess(moved.choices, *moved.args).score)
    choose(torch.tensor(True), with_objects.simulate(0.5), with_objects.simulate(0.5))


def test_an_edit_runs_for_a_batch() -> None:
    weights = batch(lambda x: with_objects.simulate(x).update({"a": 1.0}).weight, 0)(torch.zeros(4))

    assert weights.shape == (4,)


def test_an_update_of_nothing_that_is_visited_changes_nothing() -> None:
    trace = model.simulate(0.5, True)

    same = trace.update(choicemap({"a": trace["a"]}))

    torch.testing.assert_close(same.weight, torch.zeros((), dtype=torch.float64))
