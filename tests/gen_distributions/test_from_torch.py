from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.distributions as td

import gen_distributions as g
from gen_core import ParameterError
from gen_core.testing import check_samples
from gen_distributions import ComponentError, NotEnumerableError, from_torch


def test_equal_classes_give_equal_distributions() -> None:
    assert from_torch(td.Normal) == from_torch(td.Normal)
    assert hash(from_torch(td.Normal)) == hash(from_torch(td.Normal))
    assert from_torch(td.Normal) != from_torch(td.Laplace)


@pytest.mark.parametrize(
    ("constructor", "ours", "args"),
    [
        (td.Normal, g.normal, (torch.tensor([0.3, 0.1]), torch.tensor(1.7))),
        (td.Gamma, g.gamma, (torch.tensor(2.0), torch.tensor(3.0))),
        (td.Poisson, g.poisson, (torch.tensor(2.0),)),
        (td.Categorical, g.categorical, (torch.tensor([0.2, 0.8]),)),
        (td.Dirichlet, g.dirichlet, (torch.tensor([2.0, 1.0]),)),
        (td.MultivariateNormal, g.multivariate_normal, (torch.zeros(2), torch.eye(2))),
    ],
)
def test_it_agrees_with_ours(constructor: Any, ours: Any, args: tuple[Any, ...]) -> None:
    theirs = from_torch(constructor)
    value = ours.sample(*args)

    torch.testing.assert_close(theirs.log_prob(value, *args), ours.log_prob(value, *args))
    assert theirs.is_discrete == ours.is_discrete
    assert theirs.has_rsample == ours.has_rsample
    assert theirs.family.event_dim == ours.family.event_dim
    assert list(theirs.signature.parameters)[: len(args)] == list(ours.signature.parameters)[: len(args)]


def test_density_off_the_support_is_minus_infinity() -> None:
    assert from_torch(td.Gamma).log_prob(torch.tensor(-1.0), 2.0, 3.0) == -math.inf
    assert from_torch(td.Uniform).log_prob(torch.tensor(-1.0), 2.0, 3.0) == -math.inf
    assert from_torch(td.Poisson).log_prob(torch.tensor(1.5), 2.0) == -math.inf


@pytest.mark.parametrize(
    ("constructor", "args", "parameter"),
    [
        (td.Normal, (0.0, -1.0), "scale"),
        (td.Gamma, (torch.tensor(2.0), torch.tensor(0.0)), "rate"),
        (td.Dirichlet, (torch.tensor([1.0, -1.0]),), "concentration"),
    ],
)
def test_bad_parameters_name_the_parameter(constructor: Any, args: tuple[Any, ...], parameter: str) -> None:
    distribution: Any = from_torch(constructor)

    with pytest.raises(ParameterError, match=f"Expected `{parameter}` of {constructor.__name__} to be "):
        distribution.log_prob(torch.tensor([0.5, 0.5]) if len(args) == 1 else 1.0, *args)


def test_values_have_the_dtype_that_torch_draws() -> None:
    assert from_torch(td.Categorical).family.convert(1, torch.tensor([0.5, 0.5])).dtype == torch.int64
    assert from_torch(td.Bernoulli).family.convert(1, torch.tensor(0.5)).dtype == torch.float32
    assert from_torch(td.Normal).family.convert(1, 0.0, 1.0).dtype == torch.float32


def test_finite_supports_are_enumerated() -> None:
    categorical = from_torch(td.Categorical)
    one_hot = from_torch(td.OneHotCategorical)

    assert [value.item() for value in categorical.enumerate_support(torch.tensor([0.5, 0.5]))] == [0, 1]
    assert len(categorical.enumerate_support(torch.full((3, 2), 0.5))) == 8
    assert [v.tolist() for v in one_hot.enumerate_support(torch.tensor([0.5, 0.5]))] == [
        [1.0, 0.0],
        [0.0, 1.0],
    ]
    with pytest.raises(NotEnumerableError, match="Normal cannot be enumerated"):
        from_torch(td.Normal).enumerate_support(0.0, 1.0)


def test_samples_follow_the_density() -> None:
    check_samples(from_torch(td.Kumaraswamy), torch.tensor(2.0), torch.tensor(3.0), num_samples=1000)
    check_samples(from_torch(td.Binomial), 5, torch.tensor(0.3), num_samples=1000)


def test_distributions_built_of_others_must_be_told_what_they_are() -> None:
    mixture: Any = from_torch(td.MixtureSameFamily, is_discrete=False, event_dim=0)
    weights, components = td.Categorical(torch.tensor([0.3, 0.7])), td.Normal(torch.tensor([-1.0, 1.0]), 0.5)
    expected = g.homogeneous_mixture(g.normal).log_prob(
        torch.tensor(0.3), [0.3, 0.7], torch.tensor([-1.0, 1.0]), 0.5
    )

    torch.testing.assert_close(mixture.log_prob(0.3, weights, components), expected)
    with pytest.raises(ComponentError, match=r"is_discrete=.*event_dim="):
        from_torch(td.MixtureSameFamily)


def test_a_function_that_builds_a_distribution_will_do() -> None:
    def normals(loc: torch.Tensor) -> td.Independent[td.Normal]:
        return td.Independent(td.Normal(loc, 1.0), 1)

    distribution = from_torch(normals, is_discrete=False, event_dim=1)
    log_prob = distribution.family.log_prob(torch.zeros(2), torch.zeros(2))

    torch.testing.assert_close(log_prob, g.normal.log_prob(torch.zeros(2), torch.zeros(2), 1.0))
