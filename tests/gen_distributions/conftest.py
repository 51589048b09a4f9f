"""One row for each distribution: parameters, scipy's counterpart, values on and off the support."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import gen_distributions as g
from gen_core import Distribution

INF = math.inf
COVARIANCE = [[2.0, 0.5], [0.5, 1.0]]
FACTOR = [[1.0], [0.4]]


@dataclass(frozen=True)
class Case:
    """A distribution at some parameters."""

    distribution: Distribution[..., Any]
    args: tuple[Any, ...]
    scipy: Callable[..., Any] | None
    """Returns scipy's frozen distribution, given `args` as arrays."""
    inside: list[Any]
    outside: list[Any] = field(default_factory=list)
    bad: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    """Parameters that must be refused, each with the name that the error gives."""
    label: str = ""

    @property
    def id(self) -> str:
        """The row's name."""
        return self.distribution.name + self.label

    @property
    def is_integer(self) -> bool:
        """Whether values are counts or booleans."""
        return self.distribution.is_discrete

    def parameters(self, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        """Return the parameters as tensors; integers stay."""
        return tuple(tensor_of(argument, dtype) for argument in self.args)

    def values(self, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
        """Return the values on the support as tensors of the family's kind."""
        return [self.convert(value, dtype) for value in self.inside]

    def convert(self, value: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """Return a value as a tensor of the family's kind."""
        given = value if self.is_integer else torch.tensor(value, dtype=dtype)
        converted: torch.Tensor = self.distribution.family.convert(given, *self.parameters(dtype))
        return converted

    def log_prob(self, value: torch.Tensor, *args: Any) -> torch.Tensor:
        """Return the family's log density."""
        return self.distribution.family.log_prob(value, *args)

    def reference(self) -> Any:
        """Return scipy's frozen distribution."""
        assert self.scipy is not None
        arrays = [np.array(a) if isinstance(a, list) else a for a in self.args]
        return self.scipy(*arrays)


def tensor_of(argument: Any, dtype: torch.dtype) -> Any:
    """Return floats and lists as tensors, integers and None as they are."""
    return torch.tensor(argument, dtype=dtype) if isinstance(argument, float | list) else argument


def beta_uniform_reference(theta: float, alpha: float, beta: float) -> Any:
    class Reference:
        def logpdf(self, x: Any) -> Any:
            return np.log(theta * stats.beta(alpha, beta).pdf(x) + 1 - theta)

        def cdf(self, x: Any) -> Any:
            return theta * stats.beta(alpha, beta).cdf(x) + (1 - theta) * np.clip(x, 0, 1)

    return Reference()


def piecewise_reference(bounds: Any, probs: Any) -> Any:
    return stats.rv_histogram((probs, bounds), density=False)


def truncated_reference(loc: float, scale: float, low: float, high: float) -> Any:
    return stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)


UNIVARIATE = [
    Case(
        g.normal, (0.3, 1.7), lambda m, s: stats.norm(m, s), [-3.0, 0.0, 2.5],
        bad=[("scale", (0.0, 0.0)), ("scale", (0.0, -1.0)), ("loc", (math.nan, 1.0))],
    ),
    Case(
        g.uniform, (-1.0, 2.5), lambda a, b: stats.uniform(a, b - a), [-0.9, 0.0, 2.4], [-1.1, 2.6],
        bad=[("high", (1.0, 1.0)), ("high", (1.0, 0.0))],
    ),
    Case(
        g.laplace, (0.3, 1.7), lambda m, s: stats.laplace(m, s), [-3.0, 0.0, 2.5],
        bad=[("scale", (0.0, 0.0)), ("scale", (0.0, -1.0))],
    ),
    Case(
        g.cauchy, (0.3, 1.7), lambda m, s: stats.cauchy(m, s), [-30.0, 0.0, 2.5],
        bad=[("scale", (0.0, 0.0)), ("scale", (0.0, -1.0))],
    ),
    Case(
        g.gumbel, (0.3, 1.7), lambda m, s: stats.gumbel_r(m, s), [-3.0, 0.0, 9.5],
        bad=[("scale", (0.0, 0.0)), ("scale", (0.0, -1.0))],
    ),
    Case(
        g.student_t, (2.5, 0.3, 1.7), lambda d, m, s: stats.t(d, m, s), [-30.0, 0.0, 2.5],
        bad=[("df", (0.0, 0.0, 1.0)), ("scale", (1.0, 0.0, -1.0))],
    ),
    Case(
        g.exponential, (1.7,), lambda r: stats.expon(scale=1 / r), [0.0, 0.4, 3.0], [-0.1],
        bad=[("rate", (0.0,)), ("rate", (-1.0,))],
    ),
    Case(
        g.half_normal, (1.7,), lambda s: stats.halfnorm(scale=s), [0.0, 0.4, 3.0], [-0.1],
        bad=[("scale", (0.0,)), ("scale", (-1.0,))],
    ),
    Case(
        g.half_cauchy, (1.7,), lambda s: stats.halfcauchy(scale=s), [0.0, 0.4, 30.0], [-0.1],
        bad=[("scale", (0.0,)), ("scale", (-1.0,))],
    ),
    Case(
        g.log_normal, (0.3, 0.7), lambda m, s: stats.lognorm(s, scale=np.exp(m)), [0.1, 1.0, 9.0],
        [-0.5, 0.0],
        bad=[("scale", (0.0, 0.0)), ("scale", (0.0, -1.0))],
    ),
    Case(
        g.gamma, (2.3, 1.7), lambda a, r: stats.gamma(a, scale=1 / r), [0.1, 1.0, 9.0], [-0.1],
        bad=[("concentration", (0.0, 1.0)), ("concentration", (-0.5, 1.0)), ("rate", (1.0, 0.0))],
    ),
    Case(
        g.gamma, (0.4, 1.7), lambda a, r: stats.gamma(a, scale=1 / r), [0.1, 1.0, 9.0], label="-steep"
    ),
    Case(
        g.inverse_gamma, (2.3, 1.7), lambda a, r: stats.invgamma(a, scale=r), [0.1, 1.0, 9.0], [-0.1, 0.0],
        bad=[("concentration", (0.0, 1.0)), ("rate", (1.0, -1.0))],
    ),
    Case(
        g.chi2, (3.3,), lambda d: stats.chi2(d), [0.1, 1.0, 9.0], [-0.1],
        bad=[("df", (0.0,)), ("df", (-1.0,))]
    ),
    Case(
        g.beta, (2.3, 0.7), lambda a, b: stats.beta(a, b), [0.01, 0.5, 0.99], [-0.1, 1.1],
        bad=[("concentration1", (0.0, 1.0)), ("concentration0", (1.0, -0.5))],
    ),
    Case(
        g.beta_uniform, (0.7, 3.0, 6.0), beta_uniform_reference, [0.01, 0.5, 0.99], [-0.1, 1.1],
        bad=[("theta", (1.1, 1.0, 1.0)), ("theta", (-0.1, 1.0, 1.0)), ("alpha", (0.5, 0.0, 1.0))],
    ),
    Case(
        g.pareto, (1.5, 2.3), lambda s, a: stats.pareto(a, scale=s), [1.51, 2.0, 30.0], [1.4, -1.0],
        bad=[("scale", (0.0, 1.0)), ("alpha", (1.0, -1.0))],
    ),
    Case(
        g.weibull, (1.5, 2.3), lambda s, k: stats.weibull_min(k, scale=s), [0.1, 1.0, 4.0], [-0.1],
        bad=[("scale", (-1.0, 1.0)), ("concentration", (1.0, 0.0))],
    ),
    Case(
        g.von_mises, (0.3, 2.7), lambda m, k: stats.vonmises(k, loc=m), [-3.0, 0.0, 2.5], [-3.3, 4.0],
        bad=[("concentration", (0.0, 0.0)), ("concentration", (0.0, -1.0))],
    ),
    Case(
        g.truncated_normal, (0.3, 1.7, -1.0, 2.0), truncated_reference, [-0.9, 0.0, 1.9], [-1.1, 2.1],
        bad=[("scale", (0.0, 0.0, 0.0, 1.0)), ("high", (0.0, 1.0, 1.0, 0.0))],
    ),
    Case(
        g.truncated_normal, (0.3, 1.0, 9.0, INF), truncated_reference, [9.01, 9.2, 10.0], [8.9],
        label="-upper tail",
    ),
    Case(
        g.truncated_normal, (0.3, 1.0, -INF, -9.0), truncated_reference, [-9.01, -9.2, -10.0], [-8.9],
        label="-lower tail",
    ),
    Case(
        g.truncated_normal, (0.3, 1.0, -INF, INF), truncated_reference, [-2.0, 0.0, 3.0], label="-untruncated"
    ),
    Case(
        g.piecewise_uniform, ([-1.0, 0.5, 1.0, 3.0], [0.2, 0.5, 0.3]), piecewise_reference, [-0.9, 0.7, 2.0],
        [-1.1, 3.1],
        bad=[("bounds", ([0.0, 1.0, 0.5], [0.5, 0.5])), ("probs", ([0.0, 1.0, 2.0], [-0.5, 1.5]))],
    ),
]  # fmt: skip

DISCRETE = [
    Case(
        g.bernoulli, (0.3,), lambda p: stats.bernoulli(p), [True, False],
        bad=[("probs", (1.1,)), ("probs", (-0.1,))],
    ),
    Case(
        g.bernoulli, (None, 0.7), lambda _, logits: stats.bernoulli(1 / (1 + np.exp(-logits))), [True, False],
        bad=[("logits", (None, math.nan))], label="-logits",
    ),
    Case(
        g.categorical, ([0.2, 0.5, 0.3],), lambda p: stats.rv_discrete(values=(range(3), p)), [0, 1, 2],
        [-1, 3],
        bad=[("probs", ([-0.5, 1.5],)), ("probs", ([0.0, 0.0],))],
    ),
    Case(
        g.categorical, (None, [0.2, 0.5, -0.3]),
        lambda _, l: stats.rv_discrete(values=(range(3), np.exp(l) / np.exp(l).sum())), [0, 1, 2], [-1, 3],
        bad=[("logits", (None, [-INF, -INF]))], label="-logits",
    ),
    Case(
        g.uniform_discrete, (-2, 3), lambda a, b: stats.randint(a, b + 1), [-2, 0, 3], [-3, 4],
        bad=[("high", (2, 1))],
    ),
    Case(
        g.poisson, (2.7,), lambda r: stats.poisson(r), [0, 2, 11], [-1], bad=[("rate", (-1.0,))]
    ),
    Case(
        g.binomial, (7, 0.3), lambda n, p: stats.binom(n, p), [0, 3, 7], [-1, 8],
        bad=[("total_count", (-1, 0.5)), ("probs", (3, 1.5)), ("probs", (3, -0.1))],
    ),
    Case(
        g.binomial, (7, None, 0.3), lambda n, _, l: stats.binom(n, 1 / (1 + np.exp(-l))), [0, 3, 7], [-1, 8],
        label="-logits",
    ),
    Case(
        g.negative_binomial, (2.5, 0.3), lambda r, p: stats.nbinom(r, 1 - p), [0, 3, 17], [-1],
        bad=[("total_count", (-1.0, 0.5)), ("probs", (3.0, 1.0)), ("probs", (3.0, -0.1))],
    ),
    Case(
        g.negative_binomial, (2.5, None, 0.3), lambda r, _, l: stats.nbinom(r, 1 / (1 + np.exp(l))),
        [0, 3, 17],
        label="-logits",
    ),
    Case(
        g.geometric, (0.3,), lambda p: stats.geom(p, loc=-1), [0, 3, 17], [-1],
        bad=[("probs", (0.0,)), ("probs", (1.1,))],
    ),
    Case(
        g.geometric, (None, 0.3), lambda _, l: stats.geom(1 / (1 + np.exp(-l)), loc=-1), [0, 3, 17],
        label="-logits",
    ),
]  # fmt: skip

MULTIVARIATE = [
    Case(
        g.multivariate_normal, ([0.3, -1.0], COVARIANCE), lambda m, c: stats.multivariate_normal(m, c),
        [[0.0, 0.0], [2.0, -3.0]],
        bad=[("covariance_matrix", ([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]))],
    ),
    Case(
        g.multivariate_normal, ([0.3, -1.0], None, COVARIANCE),
        lambda m, _, p: stats.multivariate_normal(m, np.linalg.inv(p)), [[0.0, 0.0], [2.0, -3.0]],
        label="-precision",
    ),
    Case(
        g.multivariate_normal, ([0.3, -1.0], None, None, [[1.5, 0.0], [0.3, 0.7]]),
        lambda m, _c, _p, l: stats.multivariate_normal(m, l @ l.T), [[0.0, 0.0], [2.0, -3.0]],
        bad=[("scale_tril", ([0.0, 0.0], None, None, [[1.0, 0.0], [0.0, -1.0]]))], label="-scale_tril",
    ),
    Case(
        g.low_rank_multivariate_normal, ([0.3, -1.0], FACTOR, [0.3, 0.5]),
        lambda m, w, d: stats.multivariate_normal(m, w @ w.T + np.diag(d)), [[0.0, 0.0], [2.0, -3.0]],
        bad=[("cov_diag", ([0.0, 0.0], FACTOR, [1.0, -1.0]))],
    ),
    Case(
        g.dirichlet, ([2.0, 0.7, 3.0],), lambda a: stats.dirichlet(a), [[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]],
        [[0.2, 0.3, 0.6], [-0.1, 0.6, 0.5]],
        bad=[("concentration", ([1.0, 0.0, 1.0],)), ("concentration", ([1.0, -0.5, 1.0],))],
    ),
    Case(
        g.wishart, (3.5, COVARIANCE), lambda d, c: stats.wishart(d, c), [[[1.0, 0.3], [0.3, 2.0]]],
        [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.3], [0.2, 2.0]]],
        bad=[("df", (0.5, COVARIANCE)), ("covariance_matrix", (3.0, [[1.0, 2.0], [2.0, 1.0]]))],
    ),
    Case(
        g.lkj_cholesky, (3, 1.5), None, [[[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]]],
        [[[1.0, 0.0, 0.0], [0.6, 0.9, 0.0], [0.0, 0.6, 0.8]]],
        bad=[("concentration", (3, 0.0)), ("dim", (1, 1.0))],
    ),
]  # fmt: skip

MULTINOMIAL = [
    Case(
        g.multinomial, (5, [0.2, 0.5, 0.3]), lambda n, p: stats.multinomial(n, p), [[1, 3, 1], [0, 0, 5]],
        [[1, 3, 2], [-1, 3, 3]],
        bad=[("total_count", (-1, [0.5, 0.2, 0.3])), ("probs", (3, [-0.5, 1.0, 0.5]))],
    ),
    Case(
        g.multinomial, (5, None, [0.2, 0.5, -0.3]),
        lambda n, _, l: stats.multinomial(n, np.exp(l) / np.exp(l).sum()), [[1, 3, 1], [0, 0, 5]],
        label="-logits",
    ),
]  # fmt: skip

ALL = [*UNIVARIATE, *DISCRETE, *MULTIVARIATE, *MULTINOMIAL]
BY_FIXTURE = {
    "case": ALL,
    "univariate": UNIVARIATE,
    "discrete": [*DISCRETE, *MULTINOMIAL],
    "count": DISCRETE,
    "multivariate": MULTIVARIATE,
    "continuous": [*UNIVARIATE, *MULTIVARIATE],
    "referenced": [case for case in ALL if case.scipy is not None],
    "reparameterised": [case for case in UNIVARIATE if case.distribution.has_rsample],
    "enumerable": [case for case in ALL if case.distribution.is_enumerable],
}


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Thousands of tiny operations are faster without waking a second thread for each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, cases in BY_FIXTURE.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, cases, ids=[case.id for case in cases])
    if "refused" in metafunc.fixturenames:
        rows = [(case, name, args) for case in ALL for name, args in case.bad]
        metafunc.parametrize(
            "refused", rows, ids=[f"{case.id}-{name}-{i}" for i, (case, name, _) in enumerate(rows)]
        )
