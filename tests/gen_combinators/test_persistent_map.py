"""Persistent maps: they do what dicts do, and old ones stay as they were."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from gen_combinators.persistent_map import PersistentMap


@dataclass(frozen=True)
class Clashing:
    """A key whose hash is that of every other."""

    name: str

    def __hash__(self) -> int:
        return -7


@pytest.mark.parametrize("stride", [1, 32, 2**61 - 1, 2**70])
def test_a_thousand_edits_lead_to_what_a_dict_holds(stride: int) -> None:
    numbers = random.Random(stride)
    expected: dict[int, int] = {}
    edited: PersistentMap[int, int] = PersistentMap()

    for step in range(1000):
        key = numbers.randrange(200) * stride
        if key in expected and numbers.random() < 0.5:
            del expected[key]
            edited = edited.without(key)
        else:
            expected[key] = step
            edited = edited.with_item(key, step)

        assert len(edited) == len(expected)
    assert dict(edited) == expected
    assert edited == PersistentMap(expected.items())


def test_an_edit_leaves_the_old_map_alone() -> None:
    old = PersistentMap((i, i) for i in range(100))

    old.with_item(3, -1)
    old.without(4)

    assert dict(old) == {i: i for i in range(100)}


def test_keys_with_one_hash_are_kept_apart() -> None:
    keys = [Clashing(name) for name in "abc"]
    edited = PersistentMap(zip(keys, range(3), strict=True)).with_item(keys[0], 5).without(keys[1])

    assert dict(edited) == {keys[0]: 5, keys[2]: 2}
    assert keys[1] not in edited
    assert dict(edited.without(keys[0]).without(keys[2])) == {}


def test_a_missing_key_raises() -> None:
    edited = PersistentMap([(1, "a")])

    with pytest.raises(KeyError, match="33"):
        edited[33]
    with pytest.raises(KeyError, match="33"):
        edited.without(33)
    assert edited.get(33) is None
    assert 33 not in edited


def test_an_edit_of_a_large_map_copies_little() -> None:
    large = PersistentMap((i, i) for i in range(100_000))

    edited = large.with_item(77, 0)

    shared = {id(node) for node in _nodes(large)}
    assert len([node for node in _nodes(edited) if id(node) not in shared]) <= 4


def _nodes(mapping: PersistentMap[int, int]) -> list[dict[object, object]]:
    found = [mapping._root]
    for node in found:
        found += [below for below in node.values() if type(below) is dict]
    return found
