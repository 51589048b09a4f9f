"""Columns: a row is the same value however it is put together."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gen_core.columns import FEW_ROWS, Columns
from gen_core.structure import put_together, take_apart
from gen_distributions import bernoulli, normal
from gen_dml import gen

SIZE = FEW_ROWS + 8


@gen
def model(x: Tensor, *, scale: float) -> tuple[Tensor, dict[str, Tensor]]:
    is_far = bernoulli(0.1) @ "is_far"
    y = normal(x, torch.where(is_far, 10 * scale, scale)) @ ("y", 0)
    return y, {"both": x + y}


def nested(depth: int, value: object) -> object:
    return value if not depth else (nested(depth - 1, value), depth)


def test_rows_of_traces_are_equal_before_and_after_a_function_is_written_for_them() -> None:
    trace = model.simulate(torch.tensor(0.5), scale=2.0)
    tensors, structure = take_apart(trace)
    columns = Columns(
        [torch.stack([tensor] * SIZE) for tensor in tensors], (False,) * len(tensors), structure, SIZE
    )

    for row in map(columns.row, range(SIZE)):
        assert row.choices == trace.choices
        assert row.call.kwargs == {"scale": 2.0}
        assert row.retval[1]["both"] == trace.retval[1]["both"]
        assert torch.equal(row.score, trace.score)
        assert row.is_intact()


def test_rows_hold_every_kind_of_part() -> None:
    column, common = torch.arange(SIZE), torch.tensor(7)
    whole: Any = {"a": [column, (column,), ()], "b": MappingProxyType({"c": common}), "d": "text"}
    tensors, structure = take_apart(whole)
    columns = Columns(tensors, [tensor is common for tensor in tensors], structure, SIZE)

    for position in range(SIZE):
        row = columns.row(position)
        assert row == {"a": [position, (position,), ()], "b": {"c": 7}, "d": "text"}
        assert row["a"][0] is row["a"][1][0]
        assert row["b"]["c"] is common


def test_rows_may_be_nested_deeper_than_an_expression_may_be() -> None:
    tensors, structure = take_apart(nested(300, torch.arange(SIZE)))
    columns = Columns(tensors, (False,), structure, SIZE)

    for position in range(SIZE):
        assert columns.row(position) == put_together([torch.tensor(position)], structure)
