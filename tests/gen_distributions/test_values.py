from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import gen_distributions as g
from gen_distributions import NotEnumerableError, OneParameterizationError, ValueKindError


@pytest.mark.parametrize("given", [True, 1, 1.0, np.True_, np.array(1), torch.tensor(1), torch.tensor(1.0)])
def test_bernoulli_values_are_booleans(given: object) -> None:
    value = g.bernoulli.family.convert(given, 0.5)

    assert value.dtype == torch.bool
    assert bool(value)


@pytest.mark.parametrize(
    "given", [3, 3.0, np.int32(3), np.float32(3), torch.tensor(3.0), torch.tensor(3, dtype=torch.int8)]
)
def test_counts_are_integers(given: object) -> None:
    value = g.poisson.family.convert(given, 2.0)

    assert value.dtype == torch.int64
    assert value == 3


@pytest.mark.parametrize(
    ("distribution", "args", "given", "expected"),
    [
        (g.poisson, (2.0,), 2.5, "an integer"),
        (g.poisson, (2.0,), math.nan, "an integer"),
        (g.poisson, (2.0,), [1.0, 2.5], "an integer"),
        (g.bernoulli, (0.5,), 2, "true or false"),
        (g.bernoulli, (0.5,), 0.5, "true or false"),
        (g.normal, (0.0, 1.0), "one", "a number"),
        (g.normal, (0.0, 1.0), None, "a number"),
        (g.categorical, ([0.5, 0.5],), {"a": 1}, "a number"),
    ],
)
def test_a_value_of_another_kind_is_refused(
    distribution: Any, args: Any, given: object, expected: str
) -> None:
    with pytest.raises(ValueKindError, match=f"Expected a value of {distribution.name} to be {expected}"):
        distribution.family.convert(given, *args)


def test_numbers_take_the_dtype_of_the_parameters() -> None:
    convert = g.normal.family.convert
    wide = torch.zeros(2, dtype=torch.float64)

    assert convert(1.5, 0.0, 1.0).dtype == torch.float32
    assert convert(1.5, wide, 1.0).dtype == torch.float64
    assert convert(np.array([1.5]), 0.0, 1.0).dtype == torch.float32
    assert convert(2, 0.0, wide).dtype == torch.float64
    assert convert(torch.tensor([1, 2]), 0.0, 1.0).dtype == torch.float32
    assert convert([1.0, torch.tensor(2.0)], 0.0, 1.0).tolist() == [1.0, 2.0]


def test_a_right_tensor_is_returned_as_it_is() -> None:
    for distribution, args, value in [
        (g.normal, (0.0, 1.0), torch.tensor(0.5, dtype=torch.float64)),
        (g.poisson, (1.0,), torch.tensor(3)),
        (g.bernoulli, (0.5,), torch.tensor(True)),
    ]:
        assert distribution.family.convert(value, *args) is value  # type: ignore[attr-defined]


def test_later_changes_of_an_array_do_not_reach_the_value() -> None:
    array = np.array([1.0, 2.0], dtype=np.float32)
    value = g.normal.family.convert(array, 0.0, 1.0)
    array[0] = 9.0

    assert value.tolist() == [1.0, 2.0]


def test_a_floating_tensor_is_no_count_while_batched() -> None:
    convert = torch.func.vmap(lambda value: g.poisson.family.convert(value, 2.0))

    with pytest.raises(ValueKindError, match="a tensor of dtype int64 while batched"):
        convert(torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("distribution", [g.bernoulli, g.categorical, g.geometric])
def test_exactly_one_of_probs_and_logits_is_needed(distribution: Any) -> None:
    with pytest.raises(OneParameterizationError, match="exactly one of `probs`, `logits`, but got none"):
        distribution.family.sample()
    with pytest.raises(OneParameterizationError, match="but got `probs` and `logits`"):
        distribution.family.sample([0.5, 0.5], [0.5, 0.5])


def test_exactly_one_matrix_is_needed() -> None:
    with pytest.raises(
        OneParameterizationError, match="`covariance_matrix`, `precision_matrix`, `scale_tril`"
    ):
        g.multivariate_normal.sample([0.0, 0.0])


def test_the_probabilities_of_an_enumerated_support_sum_to_one(enumerable: Any) -> None:
    parameters = enumerable.parameters()
    values = enumerable.distribution.enumerate_support(*parameters)
    shape, dtype = enumerable.values()[0].shape, enumerable.values()[0].dtype

    total = sum(float(enumerable.log_prob(value, *parameters).exp()) for value in values)
    assert total == pytest.approx(1.0, abs=1e-6)
    assert all(value.shape == shape and value.dtype == dtype for value in values)


def test_an_enumerated_support_has_every_combination_of_elements() -> None:
    probs = torch.tensor([[0.3], [0.9]])
    values = g.bernoulli.enumerate_support(probs)

    assert [value.flatten().tolist() for value in values] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert sum(float(g.bernoulli.log_prob(value, probs).exp()) for value in values) == pytest.approx(1.0)


def test_the_range_of_each_element_is_its_own() -> None:
    values = g.binomial.enumerate_support(torch.tensor([0, 2]), 0.5)

    assert [value.tolist() for value in values] == [[0, 0], [0, 1], [0, 2]]


def test_infinite_and_huge_supports_are_refused() -> None:
    with pytest.raises(
        NotEnumerableError, match="poisson cannot be enumerated: its support is not a finite set"
    ):
        g.poisson.enumerate_support(1.0)
    with pytest.raises(NotEnumerableError, match=r"shape \(30,\) has 1073741824 possibilities"):
        g.bernoulli.enumerate_support(torch.full((30,), 0.5))
