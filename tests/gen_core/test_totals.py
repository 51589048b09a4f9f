"""Totals are float64, batched or not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from gen_core import Trace, select, total
from gen_core import vmap as vmap_of
from gen_distributions import normal
from gen_dml import gen

SIXTEENTH = 1e8 + 1 / 16
"""In float32 this is 1e8."""
SMALL = 1e-6
"""What densities in float32 may differ by where they are near 1; a float32 total of 5e7 is 2 off."""


def test_the_total_of_nothing_is_zero() -> None:
    assert total([]) == 0.0
    assert total([]).dtype == torch.float64


def test_terms_of_any_floating_point_dtype_are_totalled_in_float64() -> None:
    terms = [torch.tensor(1e8), torch.tensor(1 / 16), torch.tensor(0.0, dtype=torch.float64)]

    assert total(terms) == SIXTEENTH
    assert total(iter(terms[:2])).dtype == torch.float64


@pytest.mark.parametrize("first", [torch.float32, torch.float64])
def test_totals_keep_float64_where_only_some_terms_are_batched(first: torch.dtype) -> None:
    shared = torch.tensor(1e8, dtype=first)

    totals = vmap(lambda small: total([shared, small]))(torch.full((3,), 1 / 16))

    assert totals.dtype == torch.float64
    assert totals.tolist() == [SIXTEENTH] * 3


@gen
def point(loc: Tensor) -> Tensor:
    return normal(loc, 1.0) @ "x"


@gen
def above(loc: Tensor) -> Tensor:
    """The first choice is not batched where its value is given; what the callee does is."""
    normal(0.0, 1e-4) @ "precise"
    return point(loc) @ "point"


@pytest.mark.parametrize("name", ["generate", "assess", "update", "regenerate", "project"])
def test_scores_and_weights_of_a_batch_are_those_of_its_elements_to_float64(name: str) -> None:
    trace, _ = above.generate({"precise": 1.0, ("point", "x"): 0.5}, torch.zeros(()))
    operations: dict[str, Any] = {
        "generate": lambda loc: above.generate({"precise": 1.0, ("point", "x"): 0.5}, loc).weight,
        "assess": lambda loc: above.assess(trace.choices, loc).score,
        "update": lambda loc: trace.update({"precise": 0.9}, above(loc)).weight,
        "regenerate": lambda loc: trace.regenerate(select("precise"), above(loc)).trace.score,
        "project": lambda loc: above.assess(trace.choices, loc).score - trace.project(select("precise")),
    }
    run = operations[name]
    locs = torch.tensor([0.1, 0.2, 0.3])

    torch.manual_seed(0)
    batched = vmap(run, randomness="same")(locs)

    alone = []
    for loc in locs:
        torch.manual_seed(0)
        alone.append(run(loc))
    assert batched.dtype == torch.float64
    assert batched.tolist() == pytest.approx([float(value) for value in alone], abs=SMALL)


def test_the_total_of_a_batch_as_a_callee_is_float64() -> None:
    @gen
    def model(locs: Tensor) -> Tensor:
        normal(0.0, 1e-4) @ "precise"
        return vmap_of(point)(locs) @ "points"

    locs = torch.tensor([0.1, 0.2, 0.3])
    xs = torch.zeros(3)

    trace: Trace[Any] = model.generate({"precise": 1.0, ("points", "x"): xs}, locs).trace

    expected = [normal.log_prob(1.0, 0.0, 1e-4).double(), *normal.family.log_prob(xs, locs, 1.0).double()]
    assert trace.score.dtype == torch.float64
    assert float(trace.score) == pytest.approx(float(sum(expected)), abs=SMALL)
