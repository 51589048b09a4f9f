"""A given value has the batch and the event shape that the parameters say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.distributions as td
from torch import Tensor

import gen_distributions as g
from gen_core import ParameterError, ValueShapeError
from gen_distributions import (
    TensorFamily,
    dist,
    from_torch,
    heterogeneous_mixture,
    homogeneous_mixture,
    product,
    relabelled,
    transformed,
)


def test_the_event_shape_is_that_of_a_sample(case: Any) -> None:
    family = case.distribution.family

    for parameters in (case.parameters(), case.args):
        assert family.event_shape(*parameters) == tuple(family.sample(*parameters).shape)


def test_a_value_with_an_extra_dimension_is_refused(case: Any) -> None:
    value = torch.stack([case.values()[0]] * 2)

    for parameters in (case.parameters(), case.args):
        with pytest.raises(ValueShapeError, match=rf"^Expected a value of {case.distribution.name} of"):
            case.distribution.generate({(): value}, *parameters)


def test_an_event_of_another_size_is_refused_and_not_broadcast(case: Any) -> None:
    value = case.values()[0]
    if not value.dim():
        pytest.skip("its events are numbers")
    smaller = value[(slice(1),) * value.dim()]

    for parameters in (case.parameters(), case.args):
        with pytest.raises(ValueShapeError, match=r"batch shape \(\) and event shape \(\d,.*got shape \(1,"):
            case.distribution.log_prob(smaller, *parameters)
    with pytest.raises(ValueShapeError, match="event shape"):
        case.distribution.generate({(): torch.zeros(())}, *case.args)


VECTOR = torch.tensor([0.1, 0.2, 0.3])
FACTOR = torch.eye(3)
SIMPLEX = torch.tensor([0.2, 0.3, 0.5])


@dist
def shifted(loc: Tensor) -> Tensor:
    return g.multivariate_normal.sample(loc, FACTOR) + 1.0


@dist
def captured(scale: float) -> Tensor:
    return g.multivariate_normal.sample(VECTOR, FACTOR) * scale


VECTORS: list[Any] = [
    (transformed(g.multivariate_normal, td.ExpTransform()), (VECTOR, FACTOR), 3),
    (transformed(g.multivariate_normal, td.StickBreakingTransform()), (VECTOR, FACTOR), 4),
    (homogeneous_mixture(g.multivariate_normal), (SIMPLEX[:2], VECTOR.expand(2, 3), FACTOR), 3),
    (homogeneous_mixture(g.multivariate_normal), ([0.5, 0.5], VECTOR, FACTOR), 3),
    (
        heterogeneous_mixture(g.multivariate_normal, g.dirichlet),
        (SIMPLEX[:2], (VECTOR, FACTOR), (VECTOR,)),
        3,
    ),
    (from_torch(td.MultivariateNormal), (VECTOR, FACTOR), 3),
    (from_torch(td.Multinomial), (2, SIMPLEX), 3),
    (shifted, (VECTOR,), 3),
    (captured, (2.0,), 3),
]


@pytest.mark.parametrize(("distribution", "args", "size"), VECTORS)
def test_constructed_distributions_know_the_shape_of_an_event(
    distribution: Any, args: Any, size: int
) -> None:
    value = distribution.sample(*args)

    assert distribution.family.event_shape(*args) == (size,) == tuple(value.shape)
    assert distribution.generate({(): value}, *args).trace.retval is value
    with pytest.raises(ValueShapeError, match=rf"event shape \({size},\), .* got shape \(1,\)"):
        distribution.generate({(): value[:1]}, *args)


@pytest.mark.parametrize(
    ("distribution", "args"),
    [
        (g.normal, ([0.0, 1.0, 2.0], 1.0)),
        (g.normal, (np.zeros(3), 1.0)),
        (g.normal, (0.0, (1.0, 2.0, 3.0))),
        (g.categorical, ([[0.5, 0.5]] * 3,)),
        (g.categorical, (None, np.zeros((3, 2)))),
        (homogeneous_mixture(g.normal), ([0.5, 0.5], torch.zeros(3, 2), 1.0)),
        (transformed(g.normal, td.ExpTransform()), ([0.0, 1.0, 2.0], 1.0)),
        (from_torch(td.Normal), (torch.zeros(3), 1.0)),
    ],
)
def test_sequences_and_arrays_say_the_batch_shape_as_tensors_do(distribution: Any, args: Any) -> None:
    value = distribution.sample(*args)

    assert distribution.generate({(): value}, *args).trace.retval is value
    for other in (value[0], value[:2], torch.stack([value, value])):
        with pytest.raises(ValueShapeError, match=r"batch shape \(3,\), .*`loc.expand\(n\)`"):
            distribution.generate({(): other}, *args)


def test_a_batch_that_only_the_family_knows_is_left_to_it() -> None:
    mixture = heterogeneous_mixture(g.normal, g.gamma)
    args = (torch.tensor([0.5, 0.5]), (torch.zeros(3), 1.0), (2.0, 1.0))
    value = mixture.sample(*args)

    @dist
    def scaled(scale: float) -> Tensor:
        return g.normal.sample(VECTOR, 1.0) * scale

    assert mixture.generate({(): value}, *args).trace.retval is value
    assert scaled.generate({(): torch.zeros(3)}, 2.0).trace.retval.shape == (3,)


def test_a_batch_of_vectors_is_refused_where_one_is_drawn_and_the_other_way_round() -> None:
    with pytest.raises(ValueShapeError, match=r"batch shape \(2,\) and event shape \(3,\).*got shape \(3,\)"):
        g.multivariate_normal.generate({(): torch.zeros(3)}, torch.zeros(2, 3), FACTOR)
    with pytest.raises(ValueShapeError, match=r"batch shape \(\) and event shape \(3,\).*got shape \(2, 3\)"):
        g.multivariate_normal.generate({(): torch.zeros(2, 3)}, VECTOR, FACTOR)


def test_the_parts_of_a_product_are_checked() -> None:
    pair = product(g.normal, g.dirichlet)

    with pytest.raises(ValueShapeError, match=r"of dirichlet .*event shape \(3,\)"):
        pair.generate({(): (0.0, torch.tensor([1.0]))}, (0.0, 1.0), (VECTOR,))
    assert pair.family.event_shape((0.0, 1.0), (VECTOR,)) == ()


def test_a_kept_vector_of_another_size_is_refused() -> None:
    trace = g.multivariate_normal.simulate(torch.zeros(1), torch.eye(1))

    with pytest.raises(ValueShapeError, match=r"event shape \(3,\)"):
        trace.update({}, g.multivariate_normal(VECTOR, FACTOR))


def test_a_wrong_parameter_is_named_before_its_effect_on_the_shape() -> None:
    with pytest.raises(ParameterError, match="Expected `dim` of lkj_cholesky to be an integer, at least 2"):
        g.lkj_cholesky.log_prob(torch.eye(3), 1, 1.0)


def test_a_family_of_vectors_must_say_their_shape() -> None:
    class Vectors(TensorFamily):
        name = "vectors"
        event_dim = 1

    with pytest.raises(NotImplementedError, match=r"vectors have 1 dimensions: .*`event_shape"):
        Vectors().event_shape(1.0)


@pytest.mark.parametrize(
    ("distribution", "can_stack"),
    [
        (g.normal, True),
        (transformed(g.normal, td.ExpTransform()), True),
        (transformed(from_torch(td.Normal), td.ExpTransform()), False),
        (homogeneous_mixture(from_torch(td.Normal)), False),
        (heterogeneous_mixture(g.normal, g.gamma), False),
        (product(g.normal, g.gamma), False),
        (relabelled(g.bernoulli, ["no", "yes"]), False),
        (from_torch(td.Normal), False),
        (captured, False),
    ],
)
def test_what_is_built_stacks_if_its_parts_do(distribution: Any, can_stack: bool) -> None:
    assert distribution.family.can_stack is can_stack
