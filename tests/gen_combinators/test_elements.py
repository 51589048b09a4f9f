"""Elements: many traces of one kernel, of which an edit copies only a few."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from gen_combinators.elements import Elements
from gen_combinators.vector import Vector
from gen_core import Trace, batch, choicemap, choose, rows
from gen_core.structure import take_apart
from gen_distributions import bernoulli, normal
from gen_dml import gen

XS = torch.linspace(-1, 1, 50)


@gen
def point(x: Tensor) -> Tensor:
    is_outlier = bernoulli(0.3) @ "is_outlier"
    return normal(x, torch.where(is_outlier, 5.0, 1.0)) @ "y"


@gen
def branching(x: float) -> Tensor | None:
    if bernoulli(0.5) @ "left":
        return normal(x, 1.0) @ "below"
    return None


def batched(xs: Tensor = XS) -> Elements[Tensor]:
    torch.manual_seed(0)
    return Elements.batched(batch(point.simulate)(xs))


def one_by_one(xs: Tensor = XS) -> Elements[Tensor]:
    return Elements.of(list(batched(xs)))


def flipped(trace: Trace[Any]) -> Trace[Any]:
    return trace.update({"is_outlier": not trace["is_outlier"]}).trace


BOTH = pytest.mark.parametrize("make", [batched, one_by_one])


def require_equal(elements: Elements[Any], expected: list[Trace[Any]]) -> None:
    assert len(elements) == len(expected)
    assert [trace.choices for trace in elements] == [trace.choices for trace in expected]
    assert list(elements.retvals) == [trace.retval for trace in expected]
    assert elements.choices == choicemap({i: trace.choices for i, trace in enumerate(expected)})
    scores = torch.tensor([float(trace.score) for trace in expected], dtype=torch.float64)
    assert torch.allclose(elements.scores, scores)
    assert torch.allclose(elements.total_score(), scores.sum())


@BOTH
def test_edits_return_what_edits_of_a_list_return(make: Any) -> None:
    elements = make()
    before = list(elements)
    edited = list(before)
    for i in (3, 17, 49):
        edited[i] = flipped(edited[i])

    changed = elements.replaced({i: edited[i] for i in (3, 17, 49)})
    require_equal(elements, before)
    require_equal(changed, edited)
    require_equal(changed.truncated(18), edited[:18])
    require_equal(changed.truncated(18).extended(before[:2]), edited[:18] + before[:2])
    require_equal(changed.extended(before[:1]).compact(), edited + before[:1])
    require_equal(changed.truncated(0), [])


def test_rows_of_a_batch_take_the_places_of_few_and_of_many() -> None:
    elements = batched()
    for indices in (range(50), [4, 7], list(range(0, 50, 2))):
        batch_of = elements.batch(indices)
        assert batch_of is not None
        moved = batch(lambda trace: trace.update({"y": 9.0}).trace)(batch_of)
        expected = list(elements)
        for position, i in enumerate(indices):
            expected[i] = moved[position]

        require_equal(elements.replaced_by(indices, moved), expected)


def test_an_overlay_that_has_grown_becomes_a_new_base() -> None:
    elements = batched(torch.zeros(300))
    for i in range(280):
        elements = elements.replaced({i: elements[299 - i]})

    assert elements.is_batched
    assert elements.num_edited < 280


def test_traces_of_different_structure_are_held_beside_a_base() -> None:
    elements = batched()
    other = branching.simulate(0.3)
    for i in range(45):
        elements = elements.replaced({i: other})

    assert elements[3] is other
    assert elements.columns() is None
    assert elements[49].gen_fn == point


def test_the_structure_of_elements_does_not_tell_which_were_edited() -> None:
    elements = batched()
    edited = elements.replaced({3: flipped(elements[3])})

    assert take_apart(elements, once=False).structure == take_apart(edited, once=False).structure
    require_equal(tree_map(lambda leaf: leaf.clone(), edited), list(edited))


def test_elements_go_through_batches() -> None:
    shifts = torch.tensor([0.0, 10.0])

    found = batch(lambda shift: Elements.batched(batch(point.simulate)(XS + shift)).retvals.stack())(shifts)

    assert found.shape == (2, 50)
    assert (found[1] - found[0]).mean() > 5


@BOTH
def test_alike_elements_are_asked_once_for_unvisited_constraints(make: Any) -> None:
    elements = make()

    assert elements.unvisited(rows({"y": XS})) == []
    assert elements.unvisited(choicemap({(3, "y"): 1.0, (60, "y"): 1.0, (4, "w"): 0.0})) == [
        (60, "y"),
        (4, "w"),
    ]
    assert len(elements.unvisited(rows({"w": XS}))) == 50
    assert elements.unvisited(choicemap({(): 1.0})) == [()]
    assert not elements.visited((50, "y"))
    assert elements.visited((49, "y"))


def test_a_vector_equals_sequences_of_equal_elements_and_stacks() -> None:
    vector = batched().retvals

    assert vector == list(vector)
    assert vector[1:3] == [vector[1], vector[2]]
    assert vector[-1] == vector[49]
    assert torch.equal(vector.stack(), torch.stack(list(vector)))
    assert Vector([(1.0, True), (2.0, False)]).stack()[0].tolist() == [1.0, 2.0]
    with pytest.raises(IndexError, match="no element 50 in a vector of 50"):
        vector[50]
    with pytest.raises(ValueError, match="do not stack"):
        Vector([torch.zeros(1), torch.zeros(2)]).stack()


def test_a_vector_is_a_pytree() -> None:
    for vector in (batched().retvals, Vector([torch.tensor(1.0), None])):
        assert tree_map(lambda leaf: leaf.clone(), vector) == vector


def test_choices_of_accepted_and_rejected_traces_can_be_chosen_between() -> None:
    from gen_combinators import Map

    trace = Map(point).simulate(XS)
    edited = trace.update({(3, "y"): 7.0}).trace

    chosen = choose(torch.tensor(True), edited, trace)
    assert chosen[3, "y"] == 7.0
    assert chosen.choices == edited.choices
