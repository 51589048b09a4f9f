"""The laws on functions that run a kernel step after step: one row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gen_combinators import Map, Scan, Unfold, shared, unfold_parallel, unfold_storage
from gen_core import Call, param
from gen_core.testing import check_laws
from gen_distributions import bernoulli, categorical, dist, normal
from gen_dml import gen
from gen_torch.testing import check_staging


@gen
def walk(t: int, x: Any, drift: Any) -> Any:
    x = normal(x + drift, 1.0) @ "x"
    normal(x, 0.5 + 0.1 * t) @ "y"
    return x


@gen
def accumulating(t: int, state: Any, scale: Any) -> tuple[Tensor, Tensor]:
    place, speed = state
    speed = speed + (normal(0.0, scale) @ ("push", t))
    normal(place, 1.0) @ "seen"
    return place + speed, speed


@gen
def silent(t: int, x: Tensor) -> Tensor:
    return 2 * x + t


@gen
def hidden_markov(t: int, state: Any, stay: float) -> Any:
    state = bernoulli(stay if state else 1 - stay) @ "state"
    bernoulli(0.8 if state else 0.3) @ "seen"
    return state


@gen
def branching(t: int, state: Any, p: float) -> Any:
    if state:
        return bernoulli(p) @ "on"
    k = categorical([0.2, 0.8]) @ ("off", "k")
    return bool(k)


@dist
def drifted(t: int, x: Any, scale: Any) -> Any:
    return normal.sample(0.5, 1.0) * scale + x


@gen
def learned(t: int, x: Any) -> Tensor:
    rate = param("rate", 0.5)
    return normal(rate * x, 1.0) @ "x"


class Motion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 2)

    @gen
    def step(self, t: int, x: Tensor) -> Tensor:
        return normal(self.net(x), 1.0) @ "x"


@gen
def point(x: Any, shift: Any) -> Tensor:
    return normal(x + shift, 1.0) @ "p"


@gen
def wide(t: int, x: Any, xs: Any) -> Any:
    points = Map(point)(xs, shared(x)) @ "points"
    return points[0]


@gen
def inner_chain(t: int, x: Any, drift: Any) -> Any:
    states = Unfold(walk)(t + 1, x, drift) @ "inner"
    return states[-1]


@gen
def rows_of_chains(start: Any) -> Any:
    states = Unfold(walk)(2, start, 0.1) @ "chain"
    return states[1]


@gen
def random_length(p: float) -> Any:
    is_long = bernoulli(p) @ "is_long"
    states = Unfold(hidden_markov)(1 + int(is_long), True, 0.7) @ "chain"
    return states, bernoulli(0.9 if states[-1] else 0.4) @ "end"


@gen
def smooth(level: Any, x: Any, scale: Any = 1.0) -> tuple[Tensor, Tensor]:
    level = normal(level + x, scale) @ "level"
    return level, normal(2 * level, 0.5) @ "y"


@gen
def add_up(total: Any, x: Any) -> tuple[Any, Tensor]:
    return total + x, bernoulli(0.5 if total > 1.2 else 0.2) @ "y"


chain = Unfold(walk)
scan = Scan(smooth)
moving = Unfold(accumulating)
hmm = Unfold(hidden_markov)
branches = Unfold(branching)
dists = Unfold(drifted)


class Row(NamedTuple):
    call: Callable[[], Call[Any]]
    other_calls: Callable[[], list[Call[Any]]] = list
    flags: dict[str, Any] = {}


def start() -> tuple[Tensor, Tensor]:
    return torch.tensor(0.3), torch.tensor(-0.2)


ROWS = {
    "dynamic kernel": Row(
        lambda: chain(3, 0.2, 0.1),
        lambda: [chain(5, 0.2, 0.1), chain(2, 0.2, 0.4), chain(3, torch.ones(()), 0.1)],
    ),
    "no steps": Row(lambda: chain(0, 0.2, 0.1), lambda: [chain(2, 0.2, 0.1)]),
    "state that is no choice": Row(
        lambda: moving(3, start(), 0.5), lambda: [moving(4, start(), 0.5), moving(1, start(), 0.8)]
    ),
    "no choices": Row(lambda: Unfold(silent)(3, torch.ones(2)), lambda: [Unfold(silent)(2, torch.zeros(2))]),
    "finite": Row(
        lambda: hmm(2, True, 0.7), lambda: [hmm(1, True, 0.7), hmm(2, False, 0.6)], {"finite": True}
    ),
    "changing structure": Row(
        lambda: branches(3, True, 0.4),
        lambda: [branches(2, True, 0.4), branches(3, False, 0.3)],
        {"finite": True},
    ),
    "random length": Row(lambda: random_length(0.2), lambda: [random_length(0.3)], {"finite": True}),
    "distribution kernel": Row(
        lambda: dists(3, 0.1, 1.0), lambda: [dists(4, 0.1, 1.0), dists(3, 0.1, torch.tensor(2.0))]
    ),
    "trainable kernel": Row(lambda: Unfold(learned)(3, 0.4), lambda: [Unfold(learned)(2, 0.4)]),
    "network kernel": Row(lambda: Unfold(Motion().step)(2, torch.zeros(2))),
    "kernel with a Map": Row(
        lambda: Unfold(wide)(2, 0.1, [0.1, 0.2]), lambda: [Unfold(wide)(3, 0.1, [0.1, 0.3])]
    ),
    "kernel with an Unfold": Row(
        lambda: Unfold(inner_chain)(2, 0.1, 0.0), lambda: [Unfold(inner_chain)(3, 0.1, 0.0)]
    ),
    "scan of a list": Row(
        lambda: scan(0.1, [0.2, 0.3, 0.4]),
        lambda: [scan(0.1, [0.2, 0.5, 0.4, 0.1]), scan(0.1, [0.2]), scan(0.3, [0.2, 0.3, 0.4], 0.5)],
    ),
    "scan of a tensor": Row(
        lambda: scan(torch.zeros(()), torch.tensor([0.2, 0.3])),
        lambda: [scan(torch.zeros(()), torch.tensor([0.2, 0.1, 0.3])), scan(torch.zeros(()), torch.zeros(0))],
    ),
    "finite scan": Row(
        lambda: Scan(add_up)(0.0, [1.0, 0.5]),
        lambda: [Scan(add_up)(1.0, [1.0, 0.5]), Scan(add_up)(0.0, [1.0])],
        {"finite": True},
    ),
    "Map of Unfold": Row(
        lambda: Map(rows_of_chains)([0.1, 0.2]), lambda: [Map(rows_of_chains)([0.1, 0.3, 0.5])]
    ),
}

BATCHED = [
    "dynamic kernel",
    "state that is no choice",
    "finite",
    "no choices",
    "trainable kernel",
    "scan of a tensor",
]
"""Rows of which everything that can be done in columns and all at once is."""


@pytest.mark.parametrize("name", ROWS)
def test_unfolds_keep_the_laws(name: str) -> None:
    row = ROWS[name]

    check_laws(row.call(), other_calls=row.other_calls(), **row.flags)


@pytest.mark.parametrize("name", BATCHED)
def test_unfolds_in_columns_keep_the_laws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfold_storage, "LONG", 2)
    monkeypatch.setattr(unfold_parallel, "MANY", 2)
    monkeypatch.setattr("gen_combinators.batching.FEWEST", 2)
    row = ROWS[name]

    check_laws(row.call(), other_calls=row.other_calls(), **row.flags)


@pytest.mark.parametrize("name", ROWS)
def test_staged_unfolds_do_what_eager_ones_do(name: str) -> None:
    check_staging(ROWS[name].call())
