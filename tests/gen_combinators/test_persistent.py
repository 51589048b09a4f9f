"""Persistent vectors behave as lists that are copied before each edit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen_combinators.persistent import PersistentVector

elements = st.one_of(st.none(), st.integers())
edits = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(0, 1, exclude_max=True), elements),
        st.tuples(st.just("append"), st.just(0.0), elements),
        st.tuples(st.just("truncate"), st.floats(0, 1), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(size=st.sampled_from([0, 1, 31, 32, 33, 1023, 1024, 1025, 1056]), changes=edits)
def test_edits_return_what_edits_of_a_copied_list_return(
    size: int, changes: list[tuple[str, float, int | None]]
) -> None:
    expected: list[int | None] = list(range(size))
    vector: PersistentVector[int | None] = PersistentVector(expected)
    versions = [(vector, expected)]
    for kind, where, value in changes:
        expected = list(expected)
        if kind == "set" and expected:
            index = int(where * len(expected))
            expected[index] = value
            vector = vector.set(index, value)
        elif kind == "append":
            expected.append(value)
            vector = vector.append(value)
        elif kind == "truncate":
            expected = expected[: int(where * len(expected))]
            vector = vector.truncate(len(expected))
        versions.append((vector, expected))

    for found, wanted in versions:
        assert list(found) == wanted
        assert len(found) == len(wanted)
        assert [found[i] for i in range(len(wanted))] == wanted
        assert list(found.items()) == [(i, x) for i, x in enumerate(wanted) if x is not None]


def test_a_vector_of_none_costs_nothing_until_elements_are_set() -> None:
    vector: PersistentVector[int | None] = PersistentVector.of_none(10**9)
    edited = vector.set(123_456_789, 7).set(5, 3)

    assert vector[123_456_789] is None
    assert list(edited.items()) == [(5, 3), (123_456_789, 7)]
    assert list(edited.truncate(6).items()) == [(5, 3)]


def test_a_truncated_vector_forgets_what_was_cut_off() -> None:
    vector = PersistentVector(range(100)).truncate(40)

    assert list(vector.append(7)) == [*range(40), 7]
    assert list(vector.extend([1, 2])) == [*range(40), 1, 2]


def test_an_index_that_does_not_exist_is_refused() -> None:
    vector = PersistentVector(range(3))

    assert vector[-1] == 2
    with pytest.raises(IndexError, match="no element 3 in a vector of 3"):
        vector[3]
    with pytest.raises(IndexError, match="no first 4"):
        vector.truncate(4)
