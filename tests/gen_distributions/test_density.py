from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import gen_distributions
import gen_distributions as g
from gen_core import Distribution, ParameterError


def test_every_distribution_has_a_row(request: pytest.FixtureRequest) -> None:
    conftest = request.config.pluginmanager.getplugin(str(request.path.parent / "conftest.py"))
    public = {getattr(gen_distributions, name) for name in gen_distributions.__all__ if name.islower()}
    builtin = {value.name for value in public if isinstance(value, Distribution)}

    assert conftest is not None
    assert {case.distribution.name for case in conftest.ALL} | {"delta"} == builtin


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_log_prob_is_scipys(referenced: Any, dtype: torch.dtype, tolerance: float) -> None:
    reference = referenced.reference()
    density = getattr(reference, "logpmf", None) if referenced.is_integer else reference.logpdf
    assert density is not None
    for given, value in zip(referenced.inside, referenced.values(dtype), strict=True):
        log_prob = referenced.log_prob(value, *referenced.parameters(dtype))

        # With integer parameters alone, the dtype of log densities is the default one.
        expected_dtype = torch.float32 if referenced.distribution.name == "uniform_discrete" else dtype
        assert log_prob.dtype == expected_dtype
        accuracy = max(tolerance, 1e-6 if expected_dtype == torch.float32 else 0.0)
        assert float(log_prob) == pytest.approx(float(density(given)), rel=accuracy, abs=accuracy)


def test_log_prob_takes_python_numbers(case: Any) -> None:
    for value in case.values(torch.float32):
        log_prob = case.log_prob(value, *case.args)

        expected = case.log_prob(value, *case.parameters(torch.float32))
        torch.testing.assert_close(log_prob, expected)


def test_log_prob_off_the_support_is_minus_infinity(case: Any) -> None:
    for given in case.outside:
        value = case.convert(given)

        assert case.log_prob(value, *case.parameters()) == -math.inf
        assert not bool(case.distribution.support(*case.parameters()).check(value).all())


def test_log_prob_on_the_support_is_finite(case: Any) -> None:
    support = case.distribution.support(*case.parameters())
    for value in case.values():
        assert math.isfinite(case.log_prob(value, *case.parameters()))
        assert bool(support.check(value).all())


def test_stacked_columns_score_as_one_by_one(case: Any) -> None:
    values = case.values() + [case.convert(given) for given in case.outside]
    parameters = case.parameters()
    one_by_one = torch.stack([case.log_prob(value, *parameters) for value in values])
    columns = [
        torch.stack([parameter] * len(values)) if isinstance(parameter, torch.Tensor) else parameter
        for parameter in parameters
    ]

    stacked = case.log_prob(torch.stack(values), *columns)

    torch.testing.assert_close(stacked, one_by_one)


def test_columns_with_a_batch_dimension_score_as_one_by_one(case: Any) -> None:
    values = case.values()
    parameters = case.parameters()
    constraints = case.distribution.family.arg_constraints
    names = list(case.distribution.signature.parameters)
    columns = []
    for name, parameter in zip(names, parameters, strict=False):
        if isinstance(parameter, torch.Tensor):
            event = parameter.shape[parameter.dim() - constraints[name].event_dim :]
            parameter = torch.stack([parameter] * len(values)).reshape(len(values), 1, *event)
        columns.append(parameter)

    stacked = case.log_prob(torch.stack([torch.stack([value] * 2) for value in values]), *columns)

    expected = torch.stack([case.log_prob(value, *parameters) for value in values])
    torch.testing.assert_close(stacked, torch.stack([expected] * 2, 1))


def test_log_prob_maps_over_a_batch(case: Any) -> None:
    values = torch.stack(case.values() + [case.convert(given) for given in case.outside])
    parameters = case.parameters()

    mapped = torch.func.vmap(lambda value: case.log_prob(value, *parameters))(values)

    torch.testing.assert_close(mapped, torch.stack([case.log_prob(value, *parameters) for value in values]))


def test_log_prob_maps_over_parameters(case: Any) -> None:
    value = case.values()[0]
    parameters = case.parameters()
    which = [i for i, parameter in enumerate(parameters) if isinstance(parameter, torch.Tensor)]
    if not which:
        pytest.skip("its parameters are all integers")
    tensors = [torch.stack([parameters[i]] * 3) for i in which]

    def score(*mapped: torch.Tensor) -> torch.Tensor:
        arguments = list(parameters)
        for i, tensor in zip(which, mapped, strict=True):
            arguments[i] = tensor
        return case.log_prob(value, *arguments)  # type: ignore[no-any-return]

    mapped = torch.func.vmap(score)(*tensors)

    torch.testing.assert_close(mapped, case.log_prob(value, *parameters).expand(3))


def test_bad_parameters_name_the_parameter(refused: tuple[Any, str, tuple[Any, ...]]) -> None:
    case, parameter, arguments = refused

    with pytest.raises(ParameterError, match=f"Expected `{parameter}` of {case.distribution.name} to be "):
        case.distribution.log_prob(case.inside[0], *arguments)


def test_bad_parameters_give_nan_where_nothing_can_be_raised(
    refused: tuple[Any, str, tuple[Any, ...]],
) -> None:
    case, parameter, arguments = refused
    if parameter == "dim":
        pytest.skip("a Python integer, which is never batched")

    for given in case.inside + case.outside:
        log_prob = case.log_prob(case.convert(given), *arguments)

        assert math.isnan(log_prob), given


def test_good_parameters_meet_the_requirements(case: Any) -> None:
    requirements = list(case.distribution.family.requirements(*case.parameters()))

    assert requirements
    for requirement in requirements:
        assert requirement.is_met, requirement
        assert requirement.parameter in case.distribution.signature.parameters


def test_delta_has_all_its_mass_at_the_point() -> None:
    delta: Any = gen_distributions.delta

    assert delta.log_prob(3, 3) == 0.0
    assert delta.log_prob(2, 3) == -math.inf
    assert delta.sample(3).dtype == torch.int64
    assert delta.sample(torch.tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert delta.log_prob(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])) == 0.0
    assert [value.item() for value in delta.enumerate_support(2.5)] == [2.5]
    with pytest.raises(ParameterError, match="Expected `point` of delta to be a number"):
        delta.log_prob(1.0, math.nan)


@pytest.mark.parametrize("distribution", [g.normal, g.uniform, g.gamma, g.beta, g.laplace])
def test_requirements_of_python_numbers_cost_no_tensors(distribution: Any) -> None:
    requirements = list(distribution.family.requirements(0.5, 1.0))

    assert [type(requirement.holds) for requirement in requirements] == [bool] * len(requirements)


def test_the_log_probability_of_logits_is_exact_to_float64() -> None:
    logits = torch.tensor([-800.0, -50.0, -37.0, -1.0, 0.0, 1.0, 37.0, 41.0, 300.0], dtype=torch.float64)
    expected = -np.logaddexp(0.0, -logits.numpy())

    successes = g.bernoulli.family.log_prob(torch.tensor(True), None, logits)
    failures = g.bernoulli.family.log_prob(torch.tensor(False), None, -logits)

    np.testing.assert_allclose(successes.numpy(), expected, rtol=1e-15)
    np.testing.assert_allclose(failures.numpy(), expected, rtol=1e-15)
