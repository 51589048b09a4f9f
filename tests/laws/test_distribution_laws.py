"""The laws on every distribution, by itself and called by a dynamic function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import ExpTransform, Gumbel, Poisson, SigmoidTransform

import gen_distributions
from gen_core import Distribution
from gen_core.testing import check_laws
from gen_distributions import (
    bernoulli,
    binomial,
    categorical,
    dist,
    from_torch,
    gamma,
    heterogeneous_mixture,
    homogeneous_mixture,
    laplace,
    normal,
    product,
    relabelled,
    transformed,
)
from gen_dml import gen
from gen_torch.testing import check_staging


@dataclass(frozen=True)
class Row:
    """Arguments of a distribution, to start from and to move to, and what `check_laws` is told of it."""

    args: Callable[[], list[tuple[Any, ...]]]
    flags: dict[str, Any] = field(default_factory=dict)


def row(*args: tuple[Any, ...], **flags: Any) -> Row:
    return Row(lambda: [tuple(map(made, each)) for each in args], flags)


def made(argument: Any) -> Any:
    """Turn lists into tensors, of the dtype of the test."""
    return torch.tensor(argument) if isinstance(argument, list) else argument


COVARIANCE = [[2.0, 0.5], [0.5, 1.0]]

ROWS = {
    "bernoulli": row((0.3,), (0.9,), finite=True),
    "beta": row((2.3, 0.7), (1.0, 1.0)),
    "beta_uniform": row((0.7, 3.0, 6.0), (0.2, 1.5, 2.0)),
    "binomial": row((4, 0.3), (6, 0.8), finite=True),
    "categorical": row(([0.2, 0.5, 0.3],), ([1.0, 1.0, 0.5],), finite=True),
    "cauchy": row((0.3, 1.7), (-0.5, 0.7)),
    "chi2": row((3.3,), (1.5,)),
    "delta": row((0.5,), (1.5,), finite=True, differentiable=False),
    "dirichlet": row(([1.5, 2.0, 0.7],), ([1.0, 1.0, 3.0],)),
    "exponential": row((1.7,), (0.5,)),
    "gamma": row((2.3, 1.7), (0.6, 0.5)),
    "geometric": row((0.3,), (0.7,)),
    "gumbel": row((0.3, 1.7), (-0.5, 0.7)),
    "half_cauchy": row((1.7,), (0.4,)),
    "half_normal": row((1.7,), (0.4,)),
    "inverse_gamma": row((2.3, 1.7), (1.2, 0.5)),
    "laplace": row((0.3, 1.7), (-0.5, 0.7)),
    "lkj_cholesky": row((3, 1.5), (3, 0.7)),
    "log_normal": row((0.3, 0.7), (-0.5, 1.5)),
    "low_rank_multivariate_normal": row(
        ([0.3, -0.5], [[1.0], [0.4]], [0.5, 1.5]), ([0.0, 0.0], [[0.2], [0.4]], [1.0, 1.0])
    ),
    "multinomial": row((2, [0.2, 0.5, 0.3]), (2, [0.4, 0.4, 0.2]), finite=True),
    "multivariate_normal": row(([0.3, -0.5], COVARIANCE), ([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])),
    "negative_binomial": row((2.5, 0.3), (1.5, 0.6)),
    "normal": row(([0.3, 0.1], 1.7), ([-0.5, 0.5], 0.7), (0.0, [1.0, 2.0])),
    "pareto": row((1.5, 2.3), (0.5, 1.0)),
    "piecewise_uniform": row(
        ([-1.0, 0.5, 1.0, 3.0], [0.2, 0.5, 0.3]), ([-2.0, 0.5, 1.0, 4.0], [0.4, 0.3, 0.3])
    ),
    "poisson": row((3.5,), (1.5,)),
    "student_t": row((2.5, 0.3, 1.7), (5.0, -0.5, 0.7)),
    "truncated_normal": row((0.3, 1.7, -1.0, 2.0), (0.0, 1.0, -2.0, 3.0), (0.5, 1.0, -1.0, math.inf)),
    "uniform": row((-1.0, 2.5), (-2.0, 3.0), (0.0, 1.0)),
    "uniform_discrete": row((-1, 2), (0, 4), finite=True),
    "von_mises": row((0.3, 2.7), (-0.5, 0.5)),
    "weibull": row((1.5, 2.3), (0.7, 0.8)),
    "wishart": row((3.5, COVARIANCE), (4.0, [[1.0, 0.0], [0.0, 1.0]])),
}

MATRICES = {"multivariate_normal", "wishart"}


@dist
def shifted(loc: float, shift: float) -> Tensor:
    return torch.exp(normal.sample(loc, 0.5)) + shift


@dist
def weather(p_rain: Any) -> str:
    return ["sun", "rain"][bernoulli.sample(p_rain)]


MIXTURE_OF_NORMALS = homogeneous_mixture(normal)

CONSTRUCTED: dict[str, tuple[Distribution[..., Any], Row]] = {
    "transformed": (transformed(normal, ExpTransform()), row((0.3, 0.7), (-0.5, 1.5))),
    "transformed_twice": (
        transformed(transformed(normal, SigmoidTransform()), ExpTransform()),
        row((0.3, 0.7), (-0.5, 1.5)),
    ),
    "relabelled": (
        relabelled(categorical, ["a", "b", "c"]),
        row(([0.2, 0.5, 0.3],), ([1.0, 1.0, 0.5],), finite=True),
    ),
    "product": (product(normal, gamma), row(((0.0, 1.0), (3.0, 1.0)), ((0.5, 2.0), (1.0, 2.0)))),
    "finite_product": (
        product(bernoulli, binomial),
        row(((0.3,), (2, 0.5)), ((0.6,), (2, 0.1)), finite=True),
    ),
    "homogeneous_mixture": (
        MIXTURE_OF_NORMALS,
        row(([0.3, 0.7], [0.0, 2.0], [1.0, 0.5]), ([0.5, 0.5], [1.0, 3.0], [1.0, 2.0])),
    ),
    "heterogeneous_mixture": (
        heterogeneous_mixture(normal, laplace),
        row(([0.3, 0.7], (0.0, 1.0), (1.0, 0.5)), ([0.5, 0.5], (0.0, 1.0), (1.0, 2.0))),
    ),
    "from_torch": (from_torch(Gumbel), row((0.3, 1.7), (-0.5, 0.7))),
    "from_torch_discrete": (from_torch(Poisson), row((3.5,), (1.5,))),
    "dist": (shifted, row((0.3, 0.5), (0.5, 0.2))),
    "dist_of_labels": (weather, row((0.3,), (0.6,), finite=True)),
    "transformed_gamma": (transformed(gamma, ExpTransform()), row((2.3, 1.7), (1.2, 0.5))),
}


def public_distributions() -> dict[str, Distribution[..., Any]]:
    named = {name: getattr(gen_distributions, name) for name in gen_distributions.__all__}
    return {name: value for name, value in named.items() if isinstance(value, Distribution)}


ALL_ROWS = {name: (getattr(gen_distributions, name), each) for name, each in ROWS.items()} | CONSTRUCTED


def test_every_public_distribution_has_a_row() -> None:
    assert sorted(ROWS) == sorted(public_distributions())


@pytest.mark.parametrize("name", ALL_ROWS)
def test_distributions_keep_the_laws(name: str) -> None:
    distribution, each = ALL_ROWS[name]
    call, *others = [distribution(*args) for args in each.args()]

    check_laws(call, other_calls=others, **each.flags)


@pytest.mark.parametrize("name", ALL_ROWS)
def test_distributions_in_dynamic_functions_keep_the_laws(name: str) -> None:
    distribution, each = ALL_ROWS[name]
    flags = {**each.flags, "finite": False}
    if name in MATRICES:
        flags["differentiable"] = False  # only the distribution says how a matrix may be moved

    @gen
    def twice(*args: Any) -> Any:
        first = distribution(*args) @ "first"
        distribution(*args) @ ("second", 0)
        return first

    call, *others = [twice(*args) for args in each.args()]

    check_laws(call, other_calls=others, **flags, laws=range(1, 14))


@pytest.mark.parametrize("name", ALL_ROWS)
def test_staged_distributions_return_what_eager_ones_return(name: str) -> None:
    distribution, each = ALL_ROWS[name]
    call = distribution(*each.args()[0])

    check_staging(call, differentiable=each.flags.get("differentiable", True))
