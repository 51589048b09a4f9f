"""Choice maps: how they are built, read, combined, flattened and shown."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, final

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gen_core.address import Key, PathPart
from gen_core.address_errors import (
    AddressCollisionError,
    AddressError,
    ChoicesError,
    NoChoiceError,
    NotFloatingPointError,
    VectorLengthError,
)
from gen_core.choicemap import EMPTY, Branch, ChoiceMap, Leaf, branch
from gen_core.choicemap_build import Choices, SupportsItems, choicemap, from_paths, graft
from gen_core.selection import ALL, NONE
from gen_core.selection_build import ANY, select, where

KEYS = st.sampled_from(["a", "b", "c", 0, 1, 10])


def trees(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nested dicts with no empty one among them, except perhaps the outermost."""
    inner = st.recursive(
        values, lambda below: st.dictionaries(KEYS, below, min_size=1, max_size=3), max_leaves=8
    )
    return st.dictionaries(KEYS, inner, max_size=4)


MAPS = trees(st.integers()).map(choicemap)
FLOATS = trees(st.floats(-1e6, 1e6)).map(choicemap)


@final
class Doubles(ChoiceMap):
    """A choice map that somebody else wrote: at each index below `size`, twice the index."""

    def __init__(self, size: int) -> None:
        self.size = size

    def child(self, key: PathPart, /) -> ChoiceMap:
        return Leaf(2.0 * key) if isinstance(key, int) and 0 <= key < self.size else EMPTY

    def child_keys(self) -> Collection[PathPart]:
        return range(self.size)

    @property
    def is_leaf(self) -> bool:
        return False

    @property
    def value(self) -> Any:
        raise NoChoiceError((), self.paths())


# Building


def test_addresses_and_nested_dicts_spell_the_same_choices() -> None:
    flat = choicemap({"slope": 1.0, ("y", 0): 2.0, ("y", 1): 3.0})
    nested = choicemap({"slope": 1.0, "y": {0: 2.0, 1: 3.0}})
    mixed = choicemap({Key[float]("y", 1): 3.0, "y": choicemap({0: 2.0}), "slope": 1.0})

    assert flat == nested == mixed


def test_a_choice_map_is_returned_as_it_is() -> None:
    choices = choicemap({"x": 1.0})

    assert choicemap(choices) is choices


def test_no_choices_are_the_empty_choice_map() -> None:
    assert choicemap() is choicemap(None) is choicemap({}) is choicemap({"sub": {}, "other": EMPTY}) is EMPTY


def test_the_empty_address_holds_the_value_of_a_leaf() -> None:
    choices = choicemap({(): 1.0})

    assert choices.is_leaf
    assert choices[()] == 1.0
    assert choicemap({(): {"x": 1.0}, "y": 2.0}) == choicemap({"x": 1.0, "y": 2.0})


def test_any_mapping_can_be_given() -> None:
    inner: Mapping[str, float] = MappingProxyType({"x": 1.0})

    assert choicemap(MappingProxyType({"sub": inner})) == choicemap({("sub", "x"): 1.0})


def test_values_are_stored_as_given() -> None:
    values: list[object] = [torch.ones(3), np.ones(3), [1, 2], None, "text", (1, 2)]
    choices = choicemap(dict(enumerate(values)))

    assert all(choices[i] is value for i, value in enumerate(values))


def test_the_given_dict_may_change_afterwards() -> None:
    given = {"y": {0: 1.0}}
    choices = choicemap(given)

    given["y"][0] = 5.0

    assert choices[("y", 0)] == 1.0


def test_a_choice_map_inside_a_dict_is_left_as_it_was() -> None:
    inner = choicemap({"a": {"b": 1.0}})

    outer = choicemap({"sub": inner, ("sub", "a", "c"): 2.0})

    assert outer.paths() == [("sub", "a", "b"), ("sub", "a", "c")]
    assert inner.paths() == [("a", "b")]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"y": {0: 1.0}, ("y", 0): 2.0}, r"two values at \('y', 0\)"),
        ({("y", 0): 1.0, "y": {0: 2.0}}, r"two values at \('y', 0\)"),
        ({"y": 1.0, ("y",): 2.0}, r"two values at 'y'"),
        ({"y": 1.0, ("y", 0): 2.0}, r"a value at 'y' and another one below it, at \('y', 0\)"),
        ({("y", 0): 2.0, "y": 1.0}, r"a value at 'y' and another one below it, at \('y', 0\)"),
        ({"y": 1.0, ("y", 0): {"z": 2.0}}, r"at 'y' and .* at \('y', 0, 'z'\)"),
        ({"s": {"y": 1.0, ("y", 0): 2.0}}, r"at \('s', 'y'\) and .* at \('s', 'y', 0\)"),
        ({(): 1.0, "y": 2.0}, r"at \(\) and .* at 'y'"),
        ({"s": {(): 1.0, "y": 2.0}}, r"at 's' and .* at \('s', 'y'\)"),
        ({"s": choicemap({"a": 1.0}), ("s", "a", "b"): 2.0}, r"at \('s', 'a'\) and .* at \('s', 'a', 'b'\)"),
    ],
)
def test_two_values_that_touch_are_a_collision(choices: Any, message: str) -> None:
    with pytest.raises(AddressCollisionError, match=message):
        choicemap(choices)


@pytest.mark.parametrize("given", [1.5, torch.ones(3), ["x"], "x", {1, 2}])
def test_what_is_not_choices_is_refused_with_the_order_of_arguments(given: Any) -> None:
    with pytest.raises(ChoicesError, match="Constraints come first"):
        choicemap(given)


def test_a_key_that_is_no_address_is_refused() -> None:
    given: Any = {"sub": {1.5: 2.0}}

    with pytest.raises(AddressError, match=r"1\.5 \(float\)"):
        choicemap(given)


@given(MAPS)
def test_paths_and_values_rebuild_the_choices(choices: ChoiceMap) -> None:
    assert from_paths(choices.leaves()) == choices
    assert choicemap(dict(choices.items())) == choices
    assert choicemap(choices.map(lambda value: value)) == choices


def test_grafting_puts_each_submap_at_its_path_and_drops_empty_ones() -> None:
    sub = choicemap({"x": 1.0})

    choices = graft([(("a",), sub), (("b", 0), Leaf(2.0)), (("c",), EMPTY), (("d", 1), Branch({}))])

    assert choices == choicemap({("a", "x"): 1.0, ("b", 0): 2.0})
    assert choices.submap("a") is sub
    assert graft([((), sub)]) is sub
    assert graft([(("a",), EMPTY)]) is EMPTY
    assert from_paths([((), 1.0)]) == Leaf(1.0)
    assert from_paths([]) is EMPTY


def test_a_branch_drops_empty_children() -> None:
    assert branch([("a", EMPTY), ("b", Branch({}))]) is EMPTY
    assert branch([("a", EMPTY), ("b", Leaf(1.0))]).paths() == [("b",)]


# Reading


def test_a_value_is_found_at_every_spelling_of_its_address() -> None:
    choices = choicemap({"slope": 1.0, ("y", 3): 2.0})

    assert choices["slope"] == choices[("slope",)] == choices[Key[float]("slope")] == 1.0
    assert choices["y", 3] == choices["y", torch.tensor(3)] == choices[Key[float]("y", 3)] == 2.0


def test_membership_means_a_value_at_exactly_that_address() -> None:
    choices = choicemap({("y", 3): 2.0})

    assert ("y", 3) in choices
    assert Key[float]("y", 3) in choices
    assert "y" not in choices
    assert ("y", 3, "z") not in choices
    assert () not in choices
    assert () in choices.submap(("y", 3))


def test_get_returns_the_default_where_there_is_no_value() -> None:
    choices = choicemap({("y", 3): 2.0})

    assert choices.get(("y", 3)) == 2.0
    assert choices.get("y") is None
    assert choices.get("x", 5.0) == 5.0


def test_a_submap_is_relative_to_its_address() -> None:
    choices = choicemap({("a", "b", 0): 1.0, ("a", "c"): 2.0})

    assert choices.submap("a") == choicemap({("b", 0): 1.0, "c": 2.0})
    assert choices.submap(("a", "b")) == choicemap({0: 1.0})
    assert choices.submap(("a", "c")) == Leaf(2.0)
    assert choices.submap(()) is choices


def test_where_there_is_nothing_the_submap_is_empty_itself() -> None:
    choices = choicemap({"a": 1.0})

    assert choices.submap("b") is EMPTY
    assert choices.submap(("a", "b", "c")) is EMPTY
    assert EMPTY.submap("a") is EMPTY


def test_a_missing_address_is_a_key_error_that_names_the_nearest() -> None:
    choices = choicemap({"intercept": 0.0, "slope": 1.0})

    with pytest.raises(NoChoiceError, match=r"^No choice at 'slop'\. The nearest of 2: 'slope'\.$"):
        choices["slop"]
    with pytest.raises(KeyError, match="there are no choices at all"):
        EMPTY["slop"]


def test_the_address_of_a_submap_has_no_value_of_its_own() -> None:
    choices = choicemap({("y", 0): 0.0})

    with pytest.raises(NoChoiceError, match=r"No value at 'y', only below it, at \('y', 0\)"):
        choices["y"]
    with pytest.raises(NoChoiceError, match=r"No value at \(\), only below it"):
        _ = choices.value


def test_iteration_is_in_order_with_bare_keys_for_single_parts() -> None:
    choices = choicemap({"b": 1.0, ("y", 3): 2.0, "a": 3.0})

    assert choices.items() == [("b", 1.0), (("y", 3), 2.0), ("a", 3.0)]
    assert list(choices) == choices.keys() == ["b", ("y", 3), "a"]
    assert choices.paths() == [("b",), ("y", 3), ("a",)]
    assert choices.values() == [1.0, 2.0, 3.0]
    assert dict(choices.items()) == {"b": 1.0, ("y", 3): 2.0, "a": 3.0}
    assert Leaf(1.0).items() == [((), 1.0)]


def test_the_length_is_the_number_of_values() -> None:
    assert len(choicemap({"a": 1.0, "y": {0: 1.0, 1: 2.0}})) == 3
    assert len(Leaf(1.0)) == 1
    assert len(EMPTY) == 0


def test_a_choice_map_is_true_unless_it_is_empty() -> None:
    assert choicemap({"a": 0.0})
    assert Leaf(0.0)
    assert not EMPTY
    assert Branch({"a": Branch({})}).is_empty


def test_a_choice_map_can_be_deeper_than_the_recursion_limit() -> None:
    path = tuple(range(3000))
    choices: ChoiceMap = Leaf(1.0)
    for key in reversed(path):
        choices = Branch({key: choices})

    assert choices.paths() == [path]
    assert choices[path] == 1.0


def test_a_choice_map_satisfies_the_protocol_of_choices() -> None:
    choices: Choices = {("y", 0): torch.ones(()), ("y", 1): torch.ones(())}
    typed: dict[tuple[str, int], Tensor] = {("y", 0): torch.ones(())}
    also: Choices = typed
    keyed: Choices = {Key[Tensor]("x"): torch.ones(()), "y": 1.0}

    assert all(isinstance(choicemap(c), SupportsItems) for c in (choices, also, keyed))


# Combining


@given(MAPS, MAPS)
def test_overriding_lets_the_other_win_wherever_the_two_touch(left: ChoiceMap, right: ChoiceMap) -> None:
    both = left.override(right)

    touched = [p for p in left.paths() if any(p[: len(q)] == q or q[: len(p)] == p for q in right.paths())]
    expected = {path: value for path, value in left.leaves() if path not in touched}
    assert dict(both.leaves()) == expected | dict(right.leaves())


@given(MAPS, MAPS)
def test_merging_is_overriding_where_nothing_touches_and_an_error_elsewhere(
    left: ChoiceMap, right: ChoiceMap
) -> None:
    touches = any(p[: len(q)] == q or q[: len(p)] == p for p in left.paths() for q in right.paths())

    if touches:
        with pytest.raises(AddressCollisionError, match="rename one of them, or use `override`"):
            left.merge(right)
    else:
        assert left.merge(right) == left.override(right) == right.merge(left)


def test_the_empty_choice_map_is_neutral() -> None:
    choices = choicemap({"a": 1.0})

    assert choices.merge(EMPTY) is EMPTY.merge(choices) is choices
    assert choices.override(EMPTY) is EMPTY.override(choices) is choices


def test_combining_leaves_both_as_they_were() -> None:
    left, right = choicemap({"s": {"a": 1.0}}), choicemap({"s": {"b": 2.0}})

    left.merge(right)
    left.override(right)

    assert left == choicemap({("s", "a"): 1.0})
    assert right == choicemap({("s", "b"): 2.0})


def test_a_value_can_override_a_submap_and_the_reverse() -> None:
    value, submap = choicemap({"y": 1.0}), choicemap({"y": {0: 2.0}})

    assert value.override(submap) == submap
    assert submap.override(value) == value


def test_a_collision_names_the_full_address() -> None:
    left, right = choicemap({("s", "y"): 1.0}), choicemap({("s", "y", 0): 2.0})

    with pytest.raises(AddressCollisionError, match=r"at \('s', 'y'\) and .* at \('s', 'y', 0\)"):
        left.merge(right)
    with pytest.raises(AddressCollisionError, match=r"at \('s', 'y'\) and .* at \('s', 'y', 0\)"):
        right.merge(left)
    with pytest.raises(ValueError, match=r"two values at \('s', 'y'\)"):
        left.merge(left)


@given(MAPS)
def test_filtering_keeps_the_selected_addresses(choices: ChoiceMap) -> None:
    selection = select("a", (ANY, 0)) | where(lambda path: path[-1] == "b")

    kept = choices.filter(selection)

    assert kept.items() == [(a, v) for a, v in choices.items() if a in selection]
    assert kept.merge(choices.filter(~selection)) == choices


def test_filtering_by_all_none_and_own_addresses() -> None:
    choices = choicemap({"a": 1.0, "y": {0: 2.0}})

    assert choices.filter(ALL) is choices
    assert choices.filter(NONE) is EMPTY
    assert choices.filter(select("z")) is EMPTY
    assert choices.filter(choices.addresses()) == choices
    assert choices.filter(choicemap({"y": 0.0}).addresses()) == choicemap({("y", 0): 2.0})


def test_map_applies_a_function_to_each_value() -> None:
    assert choicemap({"a": 1, "y": {0: 2}}).map(lambda v: v + 1) == choicemap({"a": 2, "y": {0: 3}})
    assert EMPTY.map(len) is EMPTY


# Equality


def test_equality_ignores_order() -> None:
    assert choicemap({"a": 1.0, "b": 2.0}) == choicemap({"b": 2.0, "a": 1.0})


@pytest.mark.parametrize(
    ("left", "right", "are_equal"),
    [
        (torch.ones(3), torch.ones(3), True),
        (torch.ones(3), torch.zeros(3), False),
        (torch.ones(3), torch.ones(3, 1), False),
        (torch.ones(3), torch.ones(3, dtype=torch.float64), False),
        (torch.ones(()), 1.0, True),
        (1, torch.tensor(1), True),
        (torch.tensor(True), True, True),
        (torch.ones(()), 2.0, False),
        (torch.ones(1), 1.0, False),
        (torch.ones(()), "1.0", False),
        (np.ones(3), np.ones(3), True),
        (np.ones(3), np.zeros(3), False),
        (np.ones(3), [1.0, 1.0, 1.0], False),
        (np.ones(3), torch.ones(3), False),
        (1, 1.0, True),
        ("a", "a", True),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_values_are_equal_by_kind_and_elements(left: object, right: object, are_equal: bool) -> None:
    assert (choicemap({"a": left}) == choicemap({"a": right})) is are_equal
    assert (choicemap({"a": right}) == choicemap({"a": left})) is are_equal


def test_other_addresses_make_other_choices() -> None:
    assert choicemap({"a": 1.0}) != choicemap({"b": 1.0})
    assert choicemap({"a": 1.0}) != choicemap({("a", 0): 1.0})
    assert choicemap({"0": 1.0}) != choicemap({0: 1.0})
    assert choicemap({"a": 1.0}) != {"a": 1.0}


def test_a_choice_map_cannot_be_hashed_or_changed() -> None:
    choices: Any = choicemap({"a": 1.0})
    leaf: Any = Leaf(1.0)

    with pytest.raises(TypeError, match="unhashable"):
        hash(choices)
    with pytest.raises(TypeError, match="does not support item assignment"):
        choices["a"] = 2.0
    with pytest.raises(AttributeError, match="value"):
        leaf.value = 2.0


# Flattening


def test_the_vector_is_in_one_order_however_the_map_was_built() -> None:
    choices = choicemap({"b": 1.0, "y": {10: 2.0, 2: torch.tensor([3.0, 4.0]), "a": 5.0}, 3: 6.0})

    assert choices.to_vector().tolist() == [6.0, 1.0, 3.0, 4.0, 2.0, 5.0]


@given(FLOATS)
def test_a_vector_and_back_gives_the_same_choices(choices: ChoiceMap) -> None:
    doubles = choices.map(lambda value: torch.tensor(value, dtype=torch.float64))
    reversed_order = from_paths(reversed(list(doubles.leaves())))

    assert doubles.from_vector(doubles.to_vector()) == doubles
    assert doubles.from_vector(doubles.to_vector()).paths() == doubles.paths()
    assert torch.equal(reversed_order.to_vector(), doubles.to_vector())


def test_shapes_and_dtypes_come_back_from_a_vector() -> None:
    choices = choicemap({"a": torch.rand(2, 3), "b": torch.rand((), dtype=torch.float64), "c": 0.1})

    vector = choices.to_vector()
    restored = choices.from_vector(vector)

    assert vector.shape == (8,)
    assert vector.dtype == torch.float64
    assert [value.dtype for value in restored.values()] == [torch.float32, torch.float64, torch.float64]
    assert restored == choices


def test_a_vector_and_its_choices_are_differentiable() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    choices = choicemap({"x": x, "y": 3.0})

    restored = choices.from_vector(choices.to_vector() ** 2)
    (gradient,) = torch.autograd.grad(restored["x"].sum(), x)

    assert gradient.tolist() == [2.0, 4.0]


def test_no_choices_are_an_empty_vector() -> None:
    assert EMPTY.to_vector().shape == (0,)
    assert EMPTY.from_vector(torch.empty(0)) is EMPTY
    assert Leaf(2.0).to_vector().tolist() == [2.0]


@pytest.mark.parametrize("value", [1, True, torch.tensor(1), torch.tensor(1j), "text", np.ones(3)])
def test_what_is_not_floating_point_has_no_place_in_a_vector(value: object) -> None:
    choices = choicemap({"x": 1.0, ("z", 0): value})

    with pytest.raises(NotFloatingPointError, match=r"The choice at \('z', 0\) is .*floating point"):
        choices.to_vector()
    with pytest.raises(NotFloatingPointError, match=r"The choice at \('z', 0\) is .*floating point"):
        choices.from_vector(torch.ones(2))


@pytest.mark.parametrize("vector", [torch.ones(2), torch.ones(4), torch.ones(3, 1), torch.ones(())])
def test_a_vector_of_another_length_is_refused(vector: Tensor) -> None:
    choices = choicemap({"x": torch.ones(2), "y": 1.0})

    with pytest.raises(VectorLengthError, match=r"Expected a vector of shape \(3,\)"):
        choices.from_vector(vector)


# Text


def test_the_short_form_is_one_line_and_shows_numbers_and_shapes() -> None:
    choices = choicemap(
        {"slope": 1.0, ("y", 3): torch.tensor(0.2), "n": torch.tensor(2), "x": torch.ones(3, 2)}
    )

    assert repr(choices) == "ChoiceMap({'slope': 1.0, ('y', 3): 0.2, 'n': 2, 'x': Tensor((3, 2), float32)})"
    assert repr(EMPTY) == "ChoiceMap({})"
    assert repr(Leaf(True)) == "ChoiceMap({(): True})"


def test_the_short_form_stays_short() -> None:
    choices = choicemap({i: np.ones((100, 100)) for i in range(1000)})

    assert repr(choices).endswith("... 990 more})")
    assert "\n" not in repr(choices)
    assert len(repr(choices)) < 1000


def test_the_long_form_is_a_tree() -> None:
    choices = choicemap({"slope": 1.0, "y": {0: {"x": 0.25}, "last": torch.ones(2)}, "z": True})

    assert str(choices).splitlines() == [
        "├── 'slope': 1.0",
        "├── 'y'",
        "│   ├── 0",
        "│   │   └── 'x': 0.25",
        "│   └── 'last': Tensor((2,), float32)",
        "└── 'z': True",
    ]
    assert str(Leaf(1.0)) == "1.0"
    assert str(EMPTY) == "(no choices)"


def test_tensors_without_data_are_shown_by_shape() -> None:
    shown: list[str] = []

    def look(x: Tensor) -> Tensor:
        shown.append(repr(choicemap({"x": x})))
        return x

    torch.func.vmap(look)(torch.ones(3))

    assert shown == ["ChoiceMap({'x': Tensor((), float32)})"]


# Copies and foreign implementations


@given(MAPS)
def test_a_choice_map_can_be_copied_and_pickled(choices: ChoiceMap) -> None:
    assert copy.deepcopy(choices) == choices
    assert pickle.loads(pickle.dumps(choices)) == choices


def test_a_copy_of_the_empty_choice_map_is_the_same_object() -> None:
    assert copy.deepcopy(EMPTY) is EMPTY
    assert pickle.loads(pickle.dumps(EMPTY)) is EMPTY


def test_a_foreign_choice_map_needs_only_the_primitives() -> None:
    doubles = Doubles(3)
    ordinary = choicemap({0: 0.0, 1: 2.0, 2: 4.0})

    assert doubles == ordinary
    assert doubles.override(choicemap({1: 5.0}))[1] == 5.0
    assert doubles.merge(choicemap({3: 6.0})) == Doubles(4)
    assert doubles.filter(~select(1)).paths() == [(0,), (2,)]
    assert choicemap({"sub": doubles}).paths() == [("sub", 0), ("sub", 1), ("sub", 2)]
    assert doubles.to_vector().tolist() == [0.0, 2.0, 4.0]
    assert choicemap({"sub": Doubles(0)}) is EMPTY
    assert (1, "below") in doubles.addresses()
    with pytest.raises(NoChoiceError, match="No choice at 7"):
        doubles[7]


def test_a_long_level_of_a_tree_is_cut_short() -> None:
    lines = str(choicemap({("y", i): 0.0 for i in range(2000)})).splitlines()

    assert len(lines) == 32
    assert lines[-2:] == ["    ├── 29: 0.0", "    └── ... 1,970 more"]
