"""Addresses: what they may be written as, and what they are shown as."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen_core.address import Address, Key, Path, as_path, nearest, show, show_all
from gen_core.address_errors import AddressError
from gen_core.errors import GenError

PATHS = st.lists(st.integers() | st.text(max_size=5), max_size=4).map(tuple)


class Site(str):
    """A string that is not a plain one."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"Site.{self.upper()}"


class Cell(NamedTuple):
    """A tuple that is not a plain one."""

    row: int
    column: int


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("x", ("x",)),
        (3, (3,)),
        (-1, (-1,)),
        ((), ()),
        (("y", 3), ("y", 3)),
        (torch.tensor(3), (3,)),
        (("y", torch.tensor(3)), ("y", 3)),
        (("y", np.int64(3)), ("y", 3)),
        (("y", np.array(3)), ("y", 3)),
        (("y", True), ("y", 1)),
        (Site("left"), ("left",)),
        (("y", Site("left")), ("y", "left")),
        (Cell(1, 2), (1, 2)),
        (Key[float]("y", 3), ("y", 3)),
        (Key[float](), ()),
    ],
)
def test_an_address_becomes_a_tuple_of_plain_strings_and_ints(address: Address, path: Path) -> None:
    found = as_path(address)

    assert found == path
    assert type(found) is tuple
    assert all(type(part) in (str, int) for part in found)


def test_a_tuple_of_plain_parts_is_its_own_path() -> None:
    address = ("y", 3)

    assert as_path(address) is address


@given(PATHS)
def test_a_path_stays_as_it_is(path: Path) -> None:
    assert as_path(path) == path


@pytest.mark.parametrize(
    "address",
    [
        1.5,
        None,
        ["y", 3],
        torch.tensor(1.5),
        torch.tensor([1, 2]),
        ("y", 1.5),
        ("y", None),
        ("y", ("z", 3)),
        ("y", Key[float]("z")),
    ],
)
def test_what_is_neither_a_string_nor_an_index_is_no_address(address: Any) -> None:
    with pytest.raises(AddressError, match=r"is not a key.*a string or an index"):
        as_path(address)


def test_an_address_error_names_the_part_and_the_address() -> None:
    address: Any = ("y", 1.5)

    with pytest.raises(AddressError, match=r"1\.5 \(float\) in the address \('y', 1\.5\)"):
        as_path(address)


def test_an_address_error_is_a_type_error_and_survives_pickling() -> None:
    error = AddressError(1.5, ("y", 1.5))
    error.add_note("at line 3")

    restored = pickle.loads(pickle.dumps(error))

    assert isinstance(restored, AddressError)
    assert isinstance(restored, TypeError)
    assert isinstance(restored, GenError)
    assert str(restored) == str(error)
    assert restored.__notes__ == ["at line 3"]


@pytest.mark.parametrize(("path", "text"), [(("x",), "'x'"), ((3,), "3"), (("y", 3), "('y', 3)"), ((), "()")])
def test_a_path_is_shown_as_written_after_the_at_sign(path: Path, text: str) -> None:
    assert show(path) == text


def test_a_long_list_of_paths_is_cut() -> None:
    paths = [("y", i) for i in range(5)]

    assert show_all(paths, limit=2) == "('y', 0), ('y', 1), and 3 more"
    assert show_all([]) == "nothing"


def test_the_nearest_addresses_come_best_first() -> None:
    known: list[Path] = [("intercept",), ("slopes",), ("slope",)]

    assert nearest(("slop",), known, 2) == [("slope",), ("slopes",)]


def test_without_a_similar_address_the_first_ones_are_the_nearest() -> None:
    assert nearest(("zzz",), [("a",), ("b",), ("c",)], 2) == [("a",), ("b",)]
    assert nearest(("zzz",), []) == []


def test_keys_are_equal_where_their_paths_are() -> None:
    assert Key[float]("y", 3) == Key[int]("y", torch.tensor(3))
    assert len({Key[float]("y"), Key[int]("y"), Key[int]("z")}) == 2


def test_a_key_cannot_be_changed() -> None:
    key: Any = Key[float]("y")

    with pytest.raises(AttributeError, match="path"):
        key.path = ("z",)


def test_a_key_can_be_copied_pickled_and_read() -> None:
    key = Key[float]("y", 3)

    assert copy.deepcopy(key) == key
    assert pickle.loads(pickle.dumps(key)) == key
    assert repr(key) == "Key('y', 3)"


def test_a_key_takes_its_parts_one_by_one() -> None:
    parts: Any = ("y", 3)

    with pytest.raises(AddressError, match=r"\('y', 3\) \(tuple\)"):
        Key[float](parts)
