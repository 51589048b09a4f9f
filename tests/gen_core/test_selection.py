"""Selections: what is in them, their algebra, and what they say of themselves."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_core.address import Key, Path
from gen_core.address_errors import AddressError, ChoicesError, SelectionError
from gen_core.choicemap import EMPTY
from gen_core.choicemap_build import choicemap
from gen_core.selection import ALL, NONE, Selection
from gen_core.selection_build import ANY, as_selection, select, selection_of, where

PARTS = st.sampled_from(["a", "b", 0])
PATHS = st.lists(PARTS, max_size=3).map(tuple)
PATTERNS: st.SearchStrategy[tuple[Any, ...]] = st.lists(PARTS | st.just(ANY), max_size=3).map(tuple)
Predicate = Callable[[Path], bool]


def matches(pattern: tuple[Any, ...], path: Path) -> bool:
    """The definition of `select`, written out."""
    return len(path) >= len(pattern) and all(p is ANY or p == k for p, k in zip(pattern, path, strict=False))


def selections() -> st.SearchStrategy[tuple[Selection, Predicate]]:
    """Selections, each with the predicate on paths that it should be equal to."""
    leaves = st.one_of(
        st.just((ALL, lambda path: True)),
        st.just((NONE, lambda path: False)),
        st.lists(PATTERNS, max_size=3).map(
            lambda patterns: (select(*patterns), lambda path: any(matches(p, path) for p in patterns))
        ),
        st.just((where(lambda path: len(path) % 2 == 0), lambda path: len(path) % 2 == 0)),
        st.just(
            (selection_of({("a", 0): 1.0, "b": 2.0}), lambda path: path[:2] == ("a", 0) or path[:1] == ("b",))
        ),
    )
    return st.recursive(leaves, combined, max_leaves=5)


def combined(
    inner: st.SearchStrategy[tuple[Selection, Predicate]],
) -> st.SearchStrategy[tuple[Selection, Predicate]]:
    return st.one_of(
        inner.map(lambda s: (~s[0], lambda path: not s[1](path))),
        st.tuples(inner, inner).map(
            lambda s: (s[0][0] | s[1][0], lambda path: s[0][1](path) or s[1][1](path))
        ),
        st.tuples(inner, inner).map(
            lambda s: (s[0][0] & s[1][0], lambda path: s[0][1](path) and s[1][1](path))
        ),
        st.tuples(inner, inner).map(
            lambda s: (s[0][0] - s[1][0], lambda path: s[0][1](path) and not s[1][1](path))
        ),
    )


@given(selections(), PATHS)
def test_an_algebraic_expression_selects_what_set_algebra_says(
    case: tuple[Selection, Predicate], path: Path
) -> None:
    selection, predicate = case

    assert (path in selection) == predicate(path)


@given(selections(), PATHS, PATHS)
def test_what_is_under_an_address_is_what_is_selected_below_it(
    case: tuple[Selection, Predicate], head: Path, tail: Path
) -> None:
    selection, _ = case

    assert (tail in selection.under(head)) == (head + tail in selection)


@given(selections(), PATHS, PATHS)
def test_a_selection_that_is_none_or_all_below_a_key_is_so_in_fact(
    case: tuple[Selection, Predicate], head: Path, tail: Path
) -> None:
    selection, _ = case
    below = selection.under(head)

    if below is NONE:
        assert head + tail not in selection
    if below is ALL:
        assert head + tail in selection


@given(selections())
def test_all_and_none_are_absorbed(case: tuple[Selection, Predicate]) -> None:
    selection, _ = case

    assert NONE | selection is selection | NONE is selection
    assert ALL & selection is selection & ALL is selection
    assert selection - NONE is selection
    assert NONE & selection is selection & NONE is selection - ALL is NONE
    assert ALL | selection is selection | ALL is ALL
    assert ~~selection == selection


def test_all_and_none_complement_each_other() -> None:
    assert ~ALL is NONE
    assert ~NONE is ALL
    assert ALL - ALL is NONE
    assert () in ALL
    assert () not in NONE


def test_select_takes_each_address_and_everything_below_it() -> None:
    selection = select("a", ("y", 3), Key[float]("k", 0))

    assert "a" in selection
    assert ("a", "below", 0) in selection
    assert ("y", 3) in selection
    assert Key[float]("k", 0) in selection
    assert "y" not in selection
    assert ("y", 4) not in selection
    assert () not in selection


def test_below_a_literal_everything_is_selected_and_beside_it_nothing() -> None:
    selection = select("a", ("y", 3))

    assert selection.child("a") is ALL
    assert selection.child("z") is NONE
    assert selection.child("y").child(3) is ALL
    assert (~selection).child("a") is NONE
    assert (~selection).child("z") is ALL
    assert (selection | select("z")).child("z") is ALL
    assert (selection & where(bool)).child("z") is NONE


def test_a_wildcard_matches_one_key_at_one_level() -> None:
    selection = select(("ys", ANY, "x"))

    assert ("ys", 3, "x") in selection
    assert ("ys", "last", "x", "below") in selection
    assert ("ys", "x") not in selection
    assert ("ys", 3, 4, "x") not in selection
    assert () not in select(ANY)
    assert "anything" in select(ANY)


def test_a_wildcard_and_a_literal_can_share_a_level() -> None:
    selection = select(("ys", ANY, "x"), ("ys", 3, "z"))

    assert ("ys", 3, "x") in selection
    assert ("ys", 3, "z") in selection
    assert ("ys", 4, "z") not in selection


def test_select_joins_selections_with_addresses() -> None:
    selection = select("a", where(lambda path: path[-1:] == (0,)), select("b"))

    assert all(address in selection for address in ("a", "b", 0, ("z", 0)))
    assert "c" not in selection


def test_selecting_nothing_is_none_and_selecting_the_empty_address_is_all() -> None:
    assert select() is NONE
    assert select(()) is ALL


def test_a_predicate_sees_full_paths() -> None:
    selection = where(lambda path: path in {("sub", "y", 3), ("sub", "x")})

    assert ("sub", "y", 3) in selection
    assert selection.child("sub").child("x").selects_here
    assert not selection.child("x").selects_here


def test_the_selection_of_choices_has_their_addresses_and_what_is_below() -> None:
    selection = selection_of({"a": 1.0, "sub": {"x": 2.0}})

    assert "a" in selection
    assert ("sub", "x", "below") in selection
    assert "sub" not in selection
    assert selection.child("a") is ALL
    assert selection.child("z") is NONE
    assert selection.child("sub").child("z") is NONE
    assert selection == choicemap({("sub", "x"): 5.0, "a": 6.0}).addresses()
    assert hash(selection) == hash(choicemap({("sub", "x"): 5.0, "a": 6.0}).addresses())


def test_the_selection_of_no_choices_is_none_and_of_a_value_all() -> None:
    assert EMPTY.addresses() is NONE
    assert selection_of({}) is NONE
    assert selection_of({(): 1.0}) is ALL


def test_literals_are_the_addresses_that_were_written_out() -> None:
    selection = (select("a", ("y", ANY), select(("b", 0))) - select("c")) | (~select("d") & where(bool))

    assert list(selection.literals()) == [("a",), ("b", 0), ("c",), ("d",)]


def test_wildcards_predicates_and_choices_have_no_literals() -> None:
    selection = select(ANY, ("y", ANY, "x")) | where(bool) | selection_of({"a": 1.0}) | ALL

    assert list(selection.literals()) == []
    assert list(select(("y", ANY, "x")).child("y").child(3).literals()) == []


def test_a_literal_below_another_one_is_still_a_literal() -> None:
    assert list(select("y", ("y", "typo")).literals()) == [("y",), ("y", "typo")]
    assert list(select(("sub", "x")).child("sub").literals()) == [("x",)]


def test_literal_selections_are_equal_in_any_order() -> None:
    assert select("a", ("y", 3)) == select(("y", 3), "a")
    assert select("a") | select("b") == select("b", "a", "b")
    assert hash(select("a", "b")) == hash(select("b", "a"))
    assert ~select("a") == ~select("a")
    assert select("a") != select("b")
    assert select(("y", ANY)) != select("y")


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (ALL, "ALL"),
        (NONE, "NONE"),
        (select("a", ("y", ANY)), "select('a', ('y', ANY))"),
        (select(ANY), "select(ANY)"),
        (~select("a"), "~select('a')"),
        (select("a") | ~select("b"), "(select('a') | ~select('b'))"),
        (select(("a", ANY)) - select("b"), "(select(('a', ANY)) & ~select('b'))"),
        (selection_of({"a": 1.0}), "ChoiceMap({'a': 1.0}).addresses()"),
    ],
)
def test_a_selection_reads_as_it_is_written(selection: Selection, text: str) -> None:
    assert repr(selection) == text


@pytest.mark.parametrize(
    "selection", [ALL, NONE, ~select("a", ("y", ANY)), select("a") | selection_of({"b": 1.0})]
)
def test_a_selection_can_be_copied_and_pickled(selection: Selection) -> None:
    assert copy.deepcopy(selection) == selection
    assert pickle.loads(pickle.dumps(selection)) == selection


def test_a_copy_of_all_or_none_is_the_same_object() -> None:
    assert copy.deepcopy([ALL, NONE, ANY]) == [ALL, NONE, ANY]
    assert pickle.loads(pickle.dumps(ALL)) is ALL
    assert pickle.loads(pickle.dumps(NONE)) is NONE
    assert pickle.loads(pickle.dumps(ANY)) is ANY


@pytest.mark.parametrize(
    ("given", "selection"),
    [
        (ALL, ALL),
        ("a", select("a")),
        (("y", 3), select(("y", 3))),
        (("y", ANY), select(("y", ANY))),
        (Key[float]("k"), select("k")),
        ({"a", "b"}, select("a", "b")),
        (["a", ("y", 3)], select("a", ("y", 3))),
        ([], NONE),
    ],
)
def test_addresses_can_stand_for_a_selection(given: object, selection: Selection) -> None:
    assert as_selection(given) == selection


@pytest.mark.parametrize("given", [None, 1.5, {"a": 1.0}, choicemap({"a": 1.0}), [1.5]])
def test_what_is_not_a_selection_is_refused(given: object) -> None:
    with pytest.raises(SelectionError, match=r"Expected a selection, but got .*select\('x'"):
        as_selection(given)


@pytest.mark.parametrize("address", [1.5, ("a", ("b", 0), ANY), ("a", 1.5, ANY), [ANY]])
def test_select_refuses_what_is_no_address(address: Any) -> None:
    with pytest.raises(AddressError, match="is not a key"):
        select(address)


def test_a_selection_combines_only_with_a_selection() -> None:
    addresses: Any = "b"

    with pytest.raises(TypeError, match="unsupported operand"):
        select("a") | addresses
    with pytest.raises(TypeError, match="unsupported operand"):
        select("a") & addresses
    with pytest.raises(TypeError, match="unsupported operand"):
        select("a") - addresses


def test_the_selection_of_something_else_is_refused() -> None:
    choices: Any = 1.5

    with pytest.raises(ChoicesError, match="Expected choices"):
        selection_of(choices)
