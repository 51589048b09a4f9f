"""The laws on Map, over kernels of every kind, one by one and batched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import Map, batching, repeat, shared
from gen_core import Call
from gen_core.testing import check_laws
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_torch.testing import check_staging


@gen
def point(x: Tensor, slope: Tensor) -> Tensor:
    is_outlier = bernoulli(0.3) @ "is_outlier"
    return normal(slope * x, torch.where(is_outlier, 5.0, 1.0)) @ "y"


@gen
def flags(chance: float) -> Tensor:
    first = bernoulli(chance) @ "first"
    return first & (bernoulli(0.4) @ ("second", 0))


@gen
def branching(chance: float) -> Tensor | None:
    if bernoulli(chance) @ "left":
        return bernoulli(0.3) @ "below"
    return None


@gen
def silent(x: float) -> None:
    normal(x, 1.0) @ "y"


@gen
def pair(x: Tensor) -> tuple[Tensor, Tensor]:
    return normal(x, 1.0) @ "a", normal(x, 2.0) @ "b"


@dataclass(frozen=True)
class Row:
    """Calls to start from and to move to, and what `check_laws` is told of them."""

    calls: Callable[[], list[Call[Any]]]
    flags: dict[str, Any] = field(default_factory=dict)


def row(*calls: Callable[[], Call[Any]], **flags: Any) -> Row:
    return Row(lambda: [call() for call in calls], flags)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values)


ROWS: dict[str, Row] = {
    "of a distribution": row(
        lambda: Map(normal)(tensor(0.1, -0.5), shared(1.3)),
        lambda: Map(normal)(tensor(0.1, 0.7, 0.2), shared(1.3)),
        lambda: Map(normal)(tensor(0.1), shared(0.8)),
    ),
    "of a discrete distribution": row(
        lambda: Map(bernoulli)([0.2, 0.6]),
        lambda: Map(bernoulli)([0.2, 0.6, 0.5]),
        lambda: Map(bernoulli)([0.3]),
        finite=True,
    ),
    "of a dynamic function": row(
        lambda: Map(point)(tensor(1.0, -2.0), shared(tensor(0.5)[0])),
        lambda: Map(point)(tensor(1.0, -2.0, 0.4), shared(tensor(0.5)[0])),
        lambda: Map(point)(tensor(1.0, -1.0), shared(tensor(0.7)[0])),
    ),
    "of flags": row(lambda: Map(flags)([0.2, 0.6]), lambda: Map(flags)([0.2]), finite=True),
    "of a function that branches": row(
        lambda: Map(branching)((0.3, 0.6)), lambda: Map(branching)((0.3, 0.5)), finite=True
    ),
    "that returns nothing": row(lambda: Map(silent)([0.3, 0.5]), lambda: Map(silent)([0.3, 0.5, 1.0])),
    "that returns tuples": row(lambda: Map(pair)(tensor(0.3, 0.5)), lambda: Map(pair)(tensor(0.3))),
    "of no elements": row(lambda: Map(flags)([]), lambda: Map(flags)([0.2]), finite=True),
    "of a Map": row(
        lambda: Map(Map(normal))(torch.zeros(2, 2), shared(shared(1.0))),
        lambda: Map(Map(normal))(torch.ones(3, 2), shared(shared(1.0))),
    ),
    "of a Map of a function that branches": row(lambda: Map(Map(branching))([[0.3], [0.2]]), finite=True),
    "by repeat": row(lambda: repeat(flags, 2)(0.3), lambda: repeat(flags, 2)(0.5), finite=True),
}


@pytest.fixture(params=["one by one", "batched"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(batching, "FEWEST", 1 if request.param == "batched" else 1000)
    yield request.param


@pytest.mark.parametrize("name", ROWS)
def test_the_laws_hold_for_a_map(name: str, storage: str) -> None:
    call, *others = ROWS[name].calls()

    check_laws(call, other_calls=others, **ROWS[name].flags)


@pytest.mark.parametrize("name", ROWS)
def test_a_staged_map_returns_what_an_eager_one_returns(name: str, storage: str) -> None:
    call, *_ = ROWS[name].calls()

    check_staging(call)
