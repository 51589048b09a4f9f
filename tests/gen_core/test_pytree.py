"""Pytrees: traces and choices taken apart into tensors and structure, and put together again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree

from gen_core import (
    EMPTY,
    UNCHANGED,
    UNKNOWN,
    Call,
    ChoiceMap,
    ChoiceTrace,
    IntDiff,
    Path,
    Trace,
    VectorDiff,
    choicemap,
    plugins,
    select,
)
from gen_core.hookspecs import ValueCodec, gen_values, implements
from gen_core.structure import put_together, take_apart
from gen_distributions import bernoulli, gamma, normal
from gen_dml import gen


class Pair(NamedTuple):
    left: Tensor
    right: int


@dataclass
class Data:
    xs: Tensor
    name: str
    size: int = field(init=False)

    def __post_init__(self) -> None:
        if self.xs.dim() != 1:
            raise ValueError("one dimension")
        self.size = len(self.xs)
        self.extra = "not a field"


class Foreign:
    def __init__(self, content: Tensor) -> None:
        self.content = content


class ForeignPlugin:
    @implements(gen_values)
    def values() -> Mapping[type[Any], ValueCodec]:  # type: ignore[misc]
        codec = ValueCodec(
            lambda foreign: ([foreign.content], None),
            lambda children, rest: Foreign(children[0]),
            lambda foreign: foreign.content,
            Foreign,
        )
        return {Foreign: codec}


@gen
def noise(rate: float) -> Tensor:
    return gamma(2.0, rate) @ "a"


@gen
def line(xs: Tensor, name: str = "line") -> tuple[Tensor, str]:
    slope = normal(0.0, 1.0) @ "slope"
    scale = noise(1.0) @ "noise"
    if bernoulli(0.5) @ "offset":
        normal(0.0, 1.0) @ "intercept"
    for i, x in enumerate(xs):
        normal(slope * x, scale) @ ("y", i)
    return slope, name


XS = torch.tensor([1.0, 2.0, 3.0])


def round_trip(value: Any) -> Any:
    leaves, spec = _pytree.tree_flatten(value)
    return _pytree.tree_unflatten(leaves, spec)


def same_trace(one: Trace[Any], other: Trace[Any]) -> bool:
    return (
        type(one) is type(other)
        and one.gen_fn == other.gen_fn
        and one.choices == other.choices
        and torch.equal(one.score, other.score)
        and take_apart(one.retval).structure == take_apart(other.retval).structure
        and take_apart(one.call).structure == take_apart(other.call).structure
    )


def test_a_trace_goes_to_leaves_and_back() -> None:
    trace = line.generate({"offset": True}, XS).trace

    back = round_trip(trace)

    assert same_trace(back, trace)
    assert back.retval == trace.retval
    assert all(torch.equal(back.subtrace(a).score, trace.subtrace(a).score) for a in trace.choices)


def test_a_trace_from_leaves_can_be_edited_and_scored() -> None:
    trace = line.generate({"offset": True}, XS).trace
    back = round_trip(trace)
    constraints = choicemap({"slope": 0.5, ("y", 1): 1.0})

    updated, again = trace.update(constraints), back.update(constraints)

    assert torch.equal(updated.weight, again.weight)
    assert same_trace(updated.trace, again.trace)
    assert torch.equal(trace.project(select("slope", "noise")), back.project(select("slope", "noise")))
    torch.manual_seed(0)
    one = trace.regenerate(select("noise"), line(2 * XS))
    torch.manual_seed(0)
    other = back.regenerate(select("noise"), line(2 * XS))
    assert torch.equal(one.weight, other.weight)


def test_the_leaves_of_a_trace_are_its_tensors_each_once() -> None:
    trace = line.generate({"offset": True}, XS).trace

    leaves = _pytree.tree_leaves(trace)

    assert all(isinstance(leaf, Tensor) for leaf in leaves)
    assert len({id(leaf) for leaf in leaves}) == len(leaves)
    assert sum(leaf is XS for leaf in leaves) == 1


def test_the_structure_of_a_trace_compares_and_hashes() -> None:
    one, other = (take_apart(line.generate({"offset": True}, XS).trace).structure for _ in range(2))
    without = take_apart(line.generate({"offset": False}, XS).trace).structure
    renamed = take_apart(line.generate({"offset": True}, XS, "other").trace).structure

    assert one == other
    assert hash(one) == hash(other)
    assert one not in (without, renamed)


def test_the_structure_of_a_trace_does_not_depend_on_the_edits_that_led_to_it() -> None:
    trace = line.generate({"offset": True}, XS).trace
    _ = [trace.subtrace(address).score for address in trace.choices]

    moved = trace.update({("y", 1): 1.0}).trace.regenerate(select("slope")).trace

    assert take_apart(moved).structure == take_apart(trace).structure


def test_tree_map_changes_the_leaves_of_a_trace() -> None:
    trace = line.generate({"offset": True}, XS).trace

    doubled = _pytree.tree_map(lambda leaf: 2 * leaf, trace)

    assert doubled["slope"] == 2 * trace["slope"]
    assert doubled.subtrace("slope").score == 2 * trace.subtrace("slope").score


def test_anything_may_stand_for_a_leaf() -> None:
    trace = line.generate({"offset": True}, XS).trace
    leaves, spec = _pytree.tree_flatten(trace)

    numbered = _pytree.tree_unflatten(list(range(len(leaves))), spec)

    assert _pytree.tree_leaves(numbered) == list(range(len(leaves)))


def test_a_trace_that_was_changed_in_place_stays_one() -> None:
    xs = XS.clone()
    trace = line.generate({"offset": True}, xs).trace
    xs += 1

    back = round_trip(trace)

    torch.testing.assert_close(back.update({}).trace.score, line.assess(trace.choices, xs).score)


def test_the_trace_of_a_distribution_is_a_pytree() -> None:
    trace = normal.simulate(torch.tensor(1.0), 2.0)

    back = round_trip(trace)

    assert isinstance(back, ChoiceTrace)
    assert same_trace(back, trace)
    assert len(_pytree.tree_leaves(trace)) == 3


def test_choices_of_several_dtypes_keep_their_scores() -> None:
    @gen
    def mixed() -> None:
        normal(0.0, 1.0) @ "a"
        normal(torch.tensor(0.0, dtype=torch.float64), 1.0) @ "b"
        normal(0.0, 1.0) @ "c"

    trace = mixed.simulate()

    assert same_trace(round_trip(trace), trace)
    assert all(round_trip(trace).subtrace(a).score == trace.subtrace(a).score for a in "abc")


def test_choice_maps_have_their_values_as_leaves_in_one_order() -> None:
    one = choicemap({"b": 1.0, "a": {2: 2.0, 1: 3.0}})
    other = choicemap({"a": {1: 3.0, 2: 2.0}, "b": 1.0})

    assert _pytree.tree_leaves(one) == [3.0, 2.0, 1.0] == _pytree.tree_leaves(other)
    assert _pytree.tree_structure(one) == _pytree.tree_structure(other)
    assert round_trip(one) == one
    assert round_trip(EMPTY) is EMPTY


def test_results_of_edits_are_pytrees() -> None:
    updated = line.generate({"offset": True}, XS).trace.update({"slope": 1.0})

    back = round_trip(updated)

    assert same_trace(back.trace, updated.trace)
    assert back.retdiff is updated.retdiff
    assert back.discard == updated.discard


@pytest.mark.parametrize("diff", [UNCHANGED, UNKNOWN, IntDiff(2), VectorDiff(3, 2, {1: UNKNOWN})])
def test_change_hints_are_structure(diff: object) -> None:
    assert _pytree.tree_leaves(diff) == []
    assert round_trip(diff) == diff


def test_a_call_is_a_pytree_of_its_arguments() -> None:
    call = line(XS, name="other")

    back = round_trip(call)

    assert isinstance(back, Call)
    assert back.gen_fn is line
    assert back.args[0] is XS and back.args[1] == "other"


@pytest.mark.parametrize(
    "value",
    [
        (XS, 1, "a", None),
        [XS, [XS, 2.0]],
        {"a": XS, "b": {"c": 1}},
        OrderedDict(a=XS, b=1),
        Pair(XS, 2),
        torch.max(XS, 0),
        choicemap({"a": XS}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_containers_are_taken_apart(value: Any) -> None:
    tensors, structure = take_apart(value)
    back = put_together(tensors, structure)

    assert all(isinstance(tensor, Tensor) for tensor in tensors)
    assert type(back) is type(value)
    assert take_apart(back).structure == structure
    assert hash(structure) == hash(take_apart(back).structure)


def test_a_dataclass_is_put_together_without_its_constructor() -> None:
    data = Data(XS, "data")
    tensors, structure = take_apart(data)

    back = put_together([torch.stack([tensor, tensor]) for tensor in tensors], structure)

    assert back.xs.shape == (2, 3)
    assert (back.name, back.size, back.extra) == ("data", 3, "not a field")


def test_modules_and_other_objects_are_held_by_identity() -> None:
    net = nn.Linear(1, 1)
    marker = object()

    tensors, structure = take_apart((net, marker, XS))
    back = put_together(tensors, structure)

    assert tensors == [XS]
    assert back[0] is net and back[1] is marker
    assert structure != take_apart((nn.Linear(1, 1), marker, XS)).structure


def test_numbers_of_different_types_are_different_structure() -> None:
    assert take_apart((1,)).structure != take_apart((1.0,)).structure
    assert take_apart((1,)).structure != take_apart((True,)).structure


def test_a_foreign_type_goes_through_its_codec() -> None:
    foreign = Foreign(XS)
    assert take_apart(foreign).tensors == []

    with plugins.registered(ForeignPlugin, "foreign"):
        tensors, structure = take_apart(foreign)
        back = put_together(tensors, structure)

        assert tensors == [XS]
        assert isinstance(back, Foreign) and back.content is XS


def test_a_trace_class_that_is_not_registered_is_refused() -> None:
    @final
    class Strange(Trace[Any]):
        @property
        def choices(self) -> ChoiceMap:
            return EMPTY

        def find(self, path: Path) -> None:
            return None

    with pytest.raises(TypeError, match="Strange are not pytrees yet: call register_trace"):
        take_apart(Strange(normal(0.0, 1.0), None, torch.zeros(())))
