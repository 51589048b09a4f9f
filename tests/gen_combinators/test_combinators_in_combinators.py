"""What combinators owe each other: structures that meet only where one holds another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import Map, Mask, Switch, Unfold, batching, mix
from gen_core import UNKNOWN, batch
from gen_distributions import bernoulli, normal
from gen_dml import gen


@gen
def flag(p: Any) -> Tensor:
    return bernoulli(p) @ "x"


@gen
def other(p: Any) -> Tensor:
    return bernoulli(p) @ "z"


@gen
def walk(t: int, x: Any) -> Tensor:
    return normal(x, 1.0) @ "x"


def test_a_map_of_many_switches_has_the_choices_of_the_branches_that_were_taken() -> None:
    which = [i % 2 for i in range(batching.FEWEST + 2)]

    trace = Map(Switch(flag, other))(which, [0.5] * len(which)).simulate()

    assert trace.choices.paths() == [(i, "z" if k else "x") for i, k in enumerate(which)]
    assert torch.allclose(trace.score, trace.call.assess(trace.choices).score)


def test_a_map_takes_lists_of_different_lengths() -> None:
    @gen
    def total(ps: list[float]) -> Tensor:
        return bernoulli(sum(ps) / len(ps)) @ "x"

    trace = Map(total)([[0.5] * (1 + i % 2) for i in range(batching.FEWEST + 2)]).simulate()

    assert len(trace.choices) == batching.FEWEST + 2


def test_a_mask_says_nothing_of_the_elements_of_what_it_masks() -> None:
    trace = Mask(Map(flag))(True, (0.5, 0.5)).generate({(0, "x"): True, (1, "x"): True}).trace

    assert trace.update({(1, "x"): False}).retdiff is UNKNOWN


def test_a_mixture_of_sequences_batches() -> None:
    either = mix(Unfold(walk), Unfold(walk))

    traces = batch(lambda: either.simulate([0.5, 0.5], (2, 0.0), (2, 1.0)), size=4)()

    assert traces.score.shape == (4,)
    assert torch.stack(list(traces[0].retval)).shape == (2,)


def test_what_maps_of_maps_return_has_the_batch_first_where_inner_ones_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "FEWEST", 3)

    trace = Map(Map(flag))(torch.full((4, 2), 0.5)).simulate()

    assert [[bool(x) for x in row] for row in trace.retval] == [
        [bool(trace.choices[i, j, "x"]) for j in range(2)] for i in range(4)
    ]
