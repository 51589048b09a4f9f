"""Unfolds of many steps: how they are kept, and how a new parameter reaches all steps at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import Unfold, unfold_parallel
from gen_core import ANY, NONE, UNCHANGED, UNKNOWN, ChoiceTrace, ParameterError, Updated, VectorDiff, select
from gen_distributions import normal
from gen_dml import gen

runs: list[Any] = []
"""The steps that the kernels below ran, in order."""

LENGTH = 600


@pytest.fixture(autouse=True)
def no_runs() -> Iterator[None]:
    torch.manual_seed(0)
    runs.clear()
    yield


@gen
def walk(t: int, x: Any, scale: Any) -> Any:
    runs.append(t)
    x = normal(x, scale) @ "x"
    normal(x, 0.5) @ "y"
    return x


@gen
def summed(t: int, x: Any, scale: Any) -> Any:
    """A kernel whose state is another tensor at every run, of the same value."""
    runs.append(t)
    return x + (normal(0.0, scale) @ "step")


@gen
def pulled(t: int, x: Any, drift: Any) -> Any:
    """A kernel whose state depends on the parameter from step 300 on."""
    runs.append(t)
    step = normal(0.0, 1.0) @ "step"
    pull = torch.where(torch.as_tensor(t) >= 300, drift, 0.0)
    return x + step + pull


@gen
def numbered(t: int, state: tuple[int, Tensor], scale: Any) -> tuple[int, Tensor]:
    return state[0] + 1, normal(state[1], scale) @ "x"


@gen
def growing(t: int, x: Any, extra: int) -> Tensor:
    for i in range(extra):
        normal(0.0, 1.0) @ ("extra", i)
    return normal(x, 1.0) @ "x"


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfold_parallel, "MANY", 10**9)


def require_equal(one: Updated[Any], other: Updated[Any]) -> None:
    assert torch.allclose(one.weight, other.weight, rtol=1e-5, atol=1e-4)
    assert torch.allclose(one.trace.score, other.trace.score, rtol=1e-5, atol=1e-4)
    assert one.trace.choices == other.trace.choices
    assert one.discard == other.discard
    assert list(map(float, one.trace.retval)) == pytest.approx(list(map(float, other.trace.retval)))


# Storage.


def test_many_steps_are_kept_in_columns() -> None:
    trace: Any = Unfold(walk).simulate(LENGTH, 0.0, 1.0)
    gc.collect()
    alive = sum(type(each) is ChoiceTrace for each in gc.get_objects())

    assert trace.storage == "batched: 600 steps in columns, 0 edited"
    assert alive < LENGTH
    assert trace.retval[7] == trace[7, "x"]
    assert len(trace.choices) == 2 * LENGTH


def test_few_steps_are_kept_one_by_one() -> None:
    trace: Any = Unfold(walk).simulate(5, 0.0, 1.0)

    assert trace.storage == "one by one: there are fewer than 512 steps"


def test_steps_of_different_structure_are_kept_one_by_one() -> None:
    trace: Any = Unfold(numbered).simulate(LENGTH, (0, torch.zeros(())), 1.0)

    assert trace.storage.startswith("one by one: the steps differ in structure")
    assert [state[0] for state in trace.retval] == list(range(1, LENGTH + 1))


@pytest.mark.unverified
def test_steps_in_columns_are_edited_as_others_are() -> None:
    trace: Any = Unfold(walk).simulate(LENGTH, 0.0, 1.0)
    runs.clear()

    new: Any = trace.update({(300, "x"): 0.5, (LENGTH, "y"): 0.1}, Unfold(walk)(LENGTH + 1, 0.0, 1.0)).trace

    assert runs == [300, 301, LENGTH]
    assert new.storage == f"batched: {LENGTH + 1} steps in columns, 3 edited"
    assert torch.allclose(new.score, new.call.assess(new.choices).score)
    assert new.retval[299] == trace.retval[299]
    shorter = new.update({}, Unfold(walk)(100, 0.0, 1.0)).trace
    assert torch.allclose(shorter.score, shorter.call.assess(shorter.choices).score)


def test_projections_of_many_steps_are_those_of_each() -> None:
    trace: Any = Unfold(walk).simulate(LENGTH, 0.0, 1.0)

    seen = trace.project(select((ANY, "y")))
    some = trace.project(select((ANY, "y"), 3, (9, "x")))

    each = [trace.subtrace((t, "y")).score for t in range(LENGTH)]
    assert torch.allclose(seen, torch.stack(each).double().sum())
    others = trace.subtrace((3, "x")).score + trace.subtrace((9, "x")).score
    assert torch.allclose(some, seen + others.double())
    assert torch.allclose(trace.project(~select((ANY, "y"))), trace.score - seen)
    assert float(trace.project(NONE)) == 0.0


@pytest.mark.unverified
def test_many_edits_go_back_into_columns() -> None:
    trace: Any = Unfold(walk).simulate(LENGTH, 0.0, 1.0)

    for t in range(300):
        trace = trace.update({(t, "y"): 0.1}).trace

    assert "batched" in trace.storage
    assert trace.elements.num_edited < 100
    assert float(trace[200, "y"]) == pytest.approx(0.1)


def test_growing_one_by_one_ends_in_columns() -> None:
    trace: Any = Unfold(walk).simulate(510, 0.0, 1.0)

    for t in range(510, 514):
        trace = trace.update({}, Unfold(walk)(t + 1, 0.0, 1.0)).trace

    assert "batched" in trace.storage
    assert torch.allclose(trace.score, trace.call.assess(trace.choices).score)


def test_gradients_flow_through_many_steps() -> None:
    scale = torch.tensor(1.0, requires_grad=True)
    given = {(t, name): 0.0 for t in range(LENGTH) for name in ("x", "y")}

    score = Unfold(walk).assess(given, LENGTH, 0.0, scale).score
    (gradient,) = torch.autograd.grad(score, scale)

    assert torch.allclose(gradient, torch.tensor(-float(LENGTH)))


# A new parameter.


@pytest.mark.unverified
def test_a_new_parameter_runs_the_kernel_once_for_all_steps() -> None:
    trace = Unfold(walk).simulate(LENGTH, 0.0, 1.0)
    runs.clear()

    updated = trace.update({}, Unfold(walk)(LENGTH, 0.0, 2.0))

    assert len(runs) == 1
    assert updated.retdiff is UNCHANGED


@pytest.mark.parametrize("kernel", [walk, summed, pulled])
def test_all_at_once_gives_what_one_by_one_gives(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unfold: Any = Unfold(kernel)
    trace = unfold.simulate(LENGTH, 0.0, 1.0)
    call = unfold(LENGTH + 2, 0.0, 2.0)

    torch.manual_seed(1)
    together = trace.update({}, call)
    one_by_one(monkeypatch)
    torch.manual_seed(1)

    require_equal(together, trace.update({}, call))


@pytest.mark.unverified
def test_regenerate_of_nothing_runs_all_steps_at_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Unfold(walk).simulate(LENGTH, 0.0, 1.0)
    call = Unfold(walk)(LENGTH, 0.0, 2.0)
    runs.clear()

    together = trace.regenerate(NONE, call)
    assert len(runs) == 1
    one_by_one(monkeypatch)

    require_equal(together, trace.regenerate(NONE, call))


@pytest.mark.unverified
def test_states_that_are_computed_anew_may_be_the_same() -> None:
    trace = Unfold(summed).simulate(LENGTH, 0.0, 1.0)
    runs.clear()

    updated = trace.update({}, Unfold(summed)(LENGTH, 0.0, 2.0))

    assert len(runs) == 1
    assert updated.retdiff is UNCHANGED


@pytest.mark.unverified
def test_the_walk_goes_on_from_the_first_state_that_differs() -> None:
    trace = Unfold(pulled).simulate(LENGTH, 0.0, 0.1)
    runs.clear()

    updated = trace.update({}, Unfold(pulled)(LENGTH, 0.0, 0.2))

    assert runs[1:] == list(range(301, LENGTH))
    assert isinstance(updated.retdiff, VectorDiff)
    assert updated.retdiff.updated.keys() == set(range(300, LENGTH))
    assert float(updated.trace.retval[299]) == float(trace.retval[299])


def test_new_choices_are_drawn_in_the_order_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    unfold: Any = Unfold(growing)
    trace = unfold.simulate(LENGTH, 0.0, 0)
    call = unfold(LENGTH, 0.0, 1)

    torch.manual_seed(1)
    together = trace.update({}, call)
    one_by_one(monkeypatch)
    torch.manual_seed(1)

    require_equal(together, trace.update({}, call))


def test_a_bad_parameter_raises_as_it_does_one_by_one() -> None:
    trace = Unfold(walk).simulate(LENGTH, 0.0, 1.0)

    with pytest.raises(ParameterError, match="scale"):
        trace.update({}, Unfold(walk)(LENGTH, 0.0, -1.0))


def test_constraints_beside_a_new_parameter_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Unfold(walk).simulate(LENGTH, 0.0, 1.0)
    call = Unfold(walk)(LENGTH, 0.0, 2.0)

    together = trace.update({(5, "x"): 0.3}, call)
    one_by_one(monkeypatch)

    require_equal(together, trace.update({(5, "x"): 0.3}, call))
    assert float(together.trace[5, "x"]) == pytest.approx(0.3)


def test_an_edit_after_one_of_all_steps_is_right() -> None:
    trace = Unfold(walk).simulate(LENGTH, 0.0, 1.0)
    moved = trace.update({}, Unfold(walk)(LENGTH, 0.0, 2.0)).trace

    new = moved.regenerate(select((9, "x"))).trace

    assert torch.allclose(new.score, new.call.assess(new.choices).score)
    again = new.update({}, argdiffs=UNKNOWN)
    assert torch.allclose(again.weight, torch.zeros((), dtype=torch.float64), atol=1e-4)
