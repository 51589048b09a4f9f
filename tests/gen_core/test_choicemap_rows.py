"""Rows: choices of many alike elements, held as whole tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_map

from gen_core import (
    ANY,
    EMPTY,
    ChoiceMap,
    RowsError,
    batch,
    choicemap,
    choices_from_state,
    choices_to_state,
    rows,
    select,
)

YS = torch.arange(6.0).reshape(3, 2)
ZS = torch.tensor([True, False, True])


def plain(keys: tuple[int, ...] = (0, 1, 2)) -> ChoiceMap:
    """Return the same choices as a tree."""
    return choicemap(
        {key: {("a", "y"): YS[i], "z": ZS[i]} for i, key in enumerate(keys)},
    )


def test_rows_equal_the_tree_of_the_same_choices() -> None:
    choices = rows({("a", "y"): YS, "z": ZS})

    assert choices == plain()
    assert choices[1, "z"] is not None and not choices[1, "z"]
    assert choices.child(3) is EMPTY
    assert choices.child("z") is EMPTY
    assert len(choices) == 6


def test_rows_may_have_keys_of_their_own() -> None:
    choices = rows({("a", "y"): YS, "z": ZS}, keys=[7, 2, 5])

    assert choices == plain((7, 2, 5))
    assert choices.child(0) is EMPTY


def test_rows_of_elements_that_are_one_choice_are_a_tensor() -> None:
    assert rows(torch.tensor([1.0, 2.0])) == choicemap({0: 1.0, 1: 2.0})
    assert rows({"x": np.array([1.0, 2.0])})[1, "x"] == torch.tensor(2.0, dtype=torch.float64)


def test_rows_without_choices_are_empty() -> None:
    assert rows({}) is EMPTY
    assert rows({"y": torch.zeros(0)}) is EMPTY


def test_tensors_of_different_lengths_are_refused() -> None:
    with pytest.raises(RowsError, match=r"the same in all, but got the shapes 'y': \(3, 2\), 'z': \(2,\)"):
        rows({"y": YS, "z": ZS[:2]})
    with pytest.raises(RowsError, match=r"'y': \(\)"):
        rows({"y": torch.tensor(1.0)})
    with pytest.raises(RowsError, match="and 2 keys"):
        rows({"y": YS}, keys=[1, 2])


def test_rows_filter_map_merge_and_override_as_trees_do() -> None:
    choices, tree = rows({("a", "y"): YS, "z": ZS}), plain()
    other = choicemap({(1, "z"): torch.tensor(True), (8, "w"): 1.0})

    for selection in (select(1), select((ANY, "z")), ~select((2, "a")), select((ANY, "a"), (0, "z"))):
        assert choices.filter(selection) == tree.filter(selection)
    assert choices.map(torch.Tensor.double) == tree.map(torch.Tensor.double)
    assert choices.map_whole(torch.Tensor.double) == tree.map(torch.Tensor.double)
    assert choices.override(other) == tree.override(other)
    assert choices.override(rows({"z": ~ZS})) == tree.override(rows({"z": ~ZS}))
    assert choices.merge(rows({"w": ZS})) == tree.merge(rows({"w": ZS}))
    assert choices.filter(choices.addresses()) == tree


def test_rows_flatten_to_a_vector_as_trees_do() -> None:
    choices, tree = (
        rows({"b": YS, "a": YS[:, 0]}),
        choicemap({i: {"b": YS[i], "a": YS[i, 0]} for i in range(3)}),
    )
    vector = choices.to_vector()

    assert torch.equal(vector, tree.to_vector())
    assert choices.from_vector(vector + 1) == tree.map(lambda value: value + 1)


def test_rows_may_hold_rows() -> None:
    inner = torch.arange(12.0).reshape(3, 4)
    nested = batch(lambda row: rows({"y": row}))(inner)

    assert rows(nested)[2, 3, "y"] == inner[2, 3]
    assert rows(nested) == choicemap({(i, j, "y"): inner[i, j] for i in range(3) for j in range(4)})


def test_rows_are_pytrees_and_can_be_saved() -> None:
    choices = rows({("a", "y"): YS, "z": ZS}, keys=[3, 1, 0])

    assert tree_map(lambda leaf: leaf.clone(), choices) == choices
    assert choices_from_state(choices_to_state(choices)) == choices


def test_rows_go_through_batches() -> None:
    shifts = torch.tensor([0.0, 10.0, 20.0, 30.0])

    shifted = batch(lambda shift: rows({"y": YS + shift}))(shifts)
    sums = batch(lambda choices: choices[1, "y"].sum())(shifted)

    assert torch.equal(shifted[1, "y"], YS[1] + shifts[:, None])
    assert sums.tolist() == [5.0, 25.0, 45.0, 65.0]


def test_rows_of_rows_map_and_override_as_trees_do() -> None:
    inner = torch.arange(12.0).reshape(3, 4)
    nested = rows(batch(lambda row: rows({"y": row, "z": row}))(inner))
    other = rows(batch(lambda row: rows({"y": row + 1}))(inner))
    tree = choicemap(dict(nested.items()))

    assert nested.map_whole(torch.Tensor.double) == tree.map(torch.Tensor.double)
    assert nested.override(other) == tree.override(choicemap(dict(other.items())))
    assert nested.filter(select((ANY, ANY, "y"))) == tree.filter(select((ANY, ANY, "y")))
