"""A family's `log_prob_of_numbers` is its `log_prob`, for values and parameters that are Python numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import gen_distributions as g
from gen_core import ParameterError

FINDS_NUMBERS = (
    "bernoulli beta cauchy exponential gamma half_cauchy half_normal "
    "laplace log_normal normal poisson student_t uniform"
)


def test_these_distributions_score_numbers() -> None:
    known = {name: getattr(g, name) for name in g.__all__ if hasattr(getattr(g, name), "of_numbers")}

    assert {name for name, found in known.items() if found.of_numbers} == set(FINDS_NUMBERS.split())


def test_scores_of_numbers_are_those_of_tensors(case: Any) -> None:
    of_numbers = case.distribution.of_numbers
    if of_numbers is None:
        pytest.skip("scores tensors only")
    call = case.distribution(*case.args)
    for value in case.values():
        expected = case.log_prob(value, *case.parameters())
        assert of_numbers(value.item(), *call.args) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


def test_numbers_off_the_support_are_left_to_tensors_or_impossible(case: Any) -> None:
    of_numbers = case.distribution.of_numbers
    if of_numbers is None:
        pytest.skip("scores tensors only")
    for value in case.outside:
        number = case.convert(value).item()
        try:
            score = of_numbers(number, *case.distribution(*case.args).args)
        except (ValueError, ArithmeticError):
            continue
        assert math.isnan(score) or score == -math.inf


def test_parameters_that_are_not_allowed_are_refused_for_numbers_too(case: Any) -> None:
    for name, args in case.bad:
        with pytest.raises(ParameterError, match=name):
            case.distribution.log_prob(case.values(torch.float32)[0], *args)


def test_values_off_the_support_are_impossible_for_numbers_too(case: Any) -> None:
    for value in case.outside:
        given = case.convert(value, torch.float32)

        assert case.distribution.log_prob(given, *case.args) == -math.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_score_has_the_dtype_and_value_of_a_tensor(dtype: torch.dtype) -> None:
    value, loc = torch.tensor(0.3, dtype=dtype), torch.tensor(0.1, dtype=dtype)

    trace = g.normal(loc, 2.0).generate({(): value}).trace

    assert trace.score.dtype is dtype
    torch.testing.assert_close(trace.score, g.normal.family.log_prob(value, loc, 2.0))


def test_a_score_that_a_gradient_flows_to_is_a_tensor() -> None:
    loc = torch.tensor(0.5, requires_grad=True)

    score = g.normal(loc, 1.0).generate({(): torch.tensor(2.0)}).trace.score
    score.backward()

    assert loc.grad == pytest.approx(1.5)


def test_ends_of_an_interval_are_where_float32_puts_them() -> None:
    tenth = torch.tensor(0.1)  # a little more than 0.1

    assert tenth.item() > 0.1
    assert float(g.uniform.log_prob(tenth, 0.0, 0.1)) == pytest.approx(math.log(10))
