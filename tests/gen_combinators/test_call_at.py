"""call_at and choice_at: computed addresses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import ComputedKeyError, KernelError, call_at, choice_at
from gen_core import (
    ALL,
    NONE,
    UNCHANGED,
    NotBatchableError,
    UnvisitedConstraintsError,
    batch,
    choicemap,
    select,
)
from gen_distributions import normal
from gen_dml import gen


@gen
def walk(x: Any) -> Tensor:
    first = normal(x, 1.0) @ "first"
    return normal(first, 1.0) @ "second"


AT = call_at(walk)


@pytest.mark.parametrize(
    ("key", "path"), [("a", ("a",)), (3, (3,)), (torch.tensor(3), (3,)), (("a", 3), ("a", 3))]
)
def test_choices_are_below_the_key(key: Any, path: tuple[Any, ...]) -> None:
    trace = AT.simulate(key, 0.5)

    assert trace.choices.paths() == [(*path, "first"), (*path, "second")]
    assert (
        torch.equal(trace[path], trace.retval) and trace[(*path, "first")] == trace.choices[(*path, "first")]
    )
    assert torch.equal(trace.score, walk.assess(trace.choices.submap(path), 0.5).score)


def test_the_choice_of_a_distribution_is_at_the_key() -> None:
    trace, weight = choice_at(normal).generate({("y", 2): 0.3}, ("y", 2), 0.0, 1.0)

    assert trace.choices == choicemap({("y", 2): torch.tensor(0.3)})
    assert float(weight) == pytest.approx(float(normal.log_prob(0.3, 0.0, 1.0)))


def test_the_same_key_is_an_edit_of_the_kernel() -> None:
    trace = AT.simulate("a", 0.5)

    same = trace.update({}, AT("a", 0.5))
    moved = trace.update({}, AT("a", 0.7))
    redrawn = trace.regenerate(select(("a", "second")))

    assert same.retdiff is UNCHANGED and float(same.weight) == 0.0
    assert moved.trace.choices == trace.choices
    assert float(moved.weight) == pytest.approx(float(moved.trace.score - trace.score), abs=1e-5)
    assert redrawn.discard == trace.choices.filter(select(("a", "second")))


def test_under_another_key_the_old_choices_are_gone_and_new_ones_drawn() -> None:
    trace = AT.simulate("a", 0.5)

    moved = trace.update({("b", "first"): 0.2}, AT("b", 0.5))
    redrawn = trace.regenerate(NONE, AT("b", 0.5))

    assert moved.discard == trace.choices == redrawn.discard
    expected = normal.log_prob(0.2, 0.5, 1.0) - trace.score
    assert float(moved.weight) == pytest.approx(float(expected), abs=1e-5) and float(redrawn.weight) == 0.0
    assert float(trace.regenerate(ALL, AT("b", 0.5)).weight) == 0.0


def test_constraints_under_another_key_are_not_visited() -> None:
    with pytest.raises(UnvisitedConstraintsError, match=r"call_at\(walk\) never visited \('b', 'first'\)"):
        AT.generate({("b", "first"): 0.0}, "a", 0.5)


@pytest.mark.parametrize("key", [(), 1.5, None, ("a", 2.5), (("a",),)])
def test_a_key_that_is_no_address_is_refused(key: Any) -> None:
    with pytest.raises(ComputedKeyError, match=r"Expected `key` of call_at\(walk\) to be a string, an index"):
        AT.simulate(key, 0.5)


def test_a_batch_shares_its_key() -> None:
    traces = batch(lambda x: AT.simulate("a", x))(torch.tensor([0.0, 1.0]))

    assert traces.choices["a", "second"].shape == (2,)
    with pytest.raises(NotBatchableError, match="an index or a length is made of a value that differs"):
        batch(lambda key: AT.simulate(key, 0.5))(torch.tensor([0, 1]))


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(KernelError, match="Expected the kernel of call_at to be a generative function"):
        call_at(print)  # type: ignore[arg-type]
    with pytest.raises(KernelError, match="Expected the kernel of choice_at to be a distribution"):
        choice_at(walk)  # type: ignore[arg-type]


def test_equal_kernels_make_equal_functions() -> None:
    other: object = call_at(normal)

    assert call_at(walk) == AT and hash(call_at(walk)) == hash(AT) and other != AT
    assert AT.reference == f"{__name__}:AT" and repr(AT).startswith(
        "<generative function call_at(walk)(key, /, x:"
    )
