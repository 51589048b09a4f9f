"""Change hints: what counts as unchanged without being told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gen_core import UNCHANGED, UNKNOWN, Diff, IntDiff, VectorDiff, diff
from gen_core.arguments import compare_arguments, hinted
from gen_distributions import from_torch, normal
from gen_dml import gen

X = torch.ones(2)


class Colour(Enum):
    RED = 1


class Point(NamedTuple):
    x: Tensor
    n: int


@dataclass(frozen=True)
class Frozen:
    x: Tensor
    n: int


@dataclass
class Mutable:
    n: int


@gen
def model() -> None:
    normal(0.0, 1.0) @ "x"


def compared(old: object, new: object) -> Diff:
    return diff.compare(old, new, diff.version_of(old))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (X, X),
        (1, 1),
        (1.5, 1.5),
        (True, True),
        ("a", "a"),
        (None, None),
        (b"a", b"a"),
        (1j, 1j),
        ((X, 1, ("a", None)), (X, 1, ("a", None))),
        (Point(X, 1), Point(X, 1)),
        (Frozen(X, 1), Frozen(X, 1)),
        (normal, normal),
        (model, model),
        (from_torch(torch.distributions.Normal), from_torch(torch.distributions.Normal)),
    ],
)
def test_what_is_the_same_is_unchanged(old: object, new: object) -> None:
    assert compared(old, new) is UNCHANGED


LIST: list[int] = [1]
DICT = {"a": 1}
ARRAY = np.ones(2)
NET = nn.Linear(1, 1)
MUTABLE = Mutable(1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (X, X.clone()),
        (1, 2),
        (1, 1.0),
        (1, True),
        (math.nan, math.nan),
        ("a", "b"),
        (None, 0),
        ((X, 1), (X, 2)),
        ((X, 1), (X, 1, 1)),
        ((X, 1), [X, 1]),
        (Point(X, 1), (X, 1)),
        (Frozen(X, 1), Frozen(X, 2)),
        (Frozen(X, 1), Frozen(X.clone(), 1)),
        (normal, model),
        (LIST, LIST),
        (DICT, DICT),
        (ARRAY, ARRAY),
        (NET, NET),
        (MUTABLE, MUTABLE),
        (Colour.RED, Colour.RED),
        ((LIST,), (LIST,)),
    ],
)
def test_what_differs_or_may_have_been_changed_is_unknown(old: object, new: object) -> None:
    assert compared(old, new) is UNKNOWN


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: (1, (x,)), lambda x: Frozen(x, 1), lambda x: Point(x, 1)]
)
def test_a_tensor_that_was_changed_in_place_is_unknown(wrap: Any) -> None:
    x = torch.ones(2)
    value = wrap(x)
    version = diff.version_of(value)
    assert diff.compare(value, wrap(x), version) is UNCHANGED

    x.mul_(2)

    assert diff.compare(value, wrap(x), version) is UNKNOWN


def test_retvals_compare_leaf_by_leaf_through_lists_and_dicts() -> None:
    old: Any = [X, {"a": (1, [2.0])}]
    version = diff.retval_version_of(old)

    assert diff.compare_retvals(old, [X, {"a": (1, [2.0])}], version) is UNCHANGED
    assert diff.compare_retvals(old, [X, {"a": (1, [3.0])}], version) is UNKNOWN
    assert diff.compare_retvals(old, [X, {"b": (1, [2.0])}], version) is UNKNOWN
    assert diff.compare_retvals(old, [X], version) is UNKNOWN
    # The same list may have been changed since: only distinct ones can be compared.
    assert diff.compare_retvals(old, old, version) is UNKNOWN


def test_a_retval_that_was_changed_in_place_is_unknown() -> None:
    x = torch.ones(2)
    old = [x]
    version = diff.retval_version_of(old)

    x.add_(1)

    assert diff.compare_retvals(old, [x], version) is UNKNOWN


def test_arguments_compare_one_by_one() -> None:
    old: tuple[Any, ...] = (X, 1, LIST)
    versions = tuple(map(diff.version_of, old))

    assert compare_arguments(old, (X, 2, LIST), versions) == (UNCHANGED, UNKNOWN, UNKNOWN)
    assert compare_arguments(old, (X, 1), versions) == (UNKNOWN, UNKNOWN)


def test_hints_stand_in_for_comparison() -> None:
    found = (UNCHANGED, UNKNOWN, UNKNOWN)
    names = ["xs", "n", "net"]

    assert hinted(found, None, names, "model") == found
    assert hinted(found, UNKNOWN, names, "model") == (UNKNOWN,) * 3
    assert hinted(found, {"n": IntDiff(1)}, names, "model") == (UNCHANGED, IntDiff(1), UNKNOWN)
    assert hinted(found, {"xs": VectorDiff(3, 2), "net": UNCHANGED}, names, "model") == (
        VectorDiff(3, 2),
        UNKNOWN,
        UNCHANGED,
    )


def test_comparison_can_be_replaced_for_a_block() -> None:
    seen: list[tuple[object, object]] = []

    def compare(old: object, new: object, version: int) -> Diff:
        seen.append((old, new))
        return UNKNOWN

    with diff.comparing(compare):
        assert diff.compare(1, 1, 0) is UNKNOWN
        assert not diff.same_arguments((1,), (1,))
        assert not diff.is_comparing_plainly()

    assert seen == [(1, 1), (1, 1)]
    assert diff.compare(1, 1, 0) is UNCHANGED
    assert diff.is_comparing_plainly()


@pytest.mark.parametrize("hint", [UNCHANGED, UNKNOWN, IntDiff(2), VectorDiff(3, 2, {0: UNKNOWN})])
def test_hints_print_as_they_are_written(hint: Diff) -> None:
    scope = {
        "UNCHANGED": UNCHANGED,
        "UNKNOWN": UNKNOWN,
        "IntDiff": lambda difference: IntDiff(difference),
        "VectorDiff": lambda new_length, old_length, updated: VectorDiff(new_length, old_length, updated),
    }

    assert eval(repr(hint), scope) == hint
