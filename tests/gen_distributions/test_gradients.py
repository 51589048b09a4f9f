from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import gen_distributions as g


def differentiable(case: Any) -> tuple[list[Any], list[int]]:
    """Return the parameters with gradients switched on, and the positions of those that have them."""
    parameters = list(case.parameters())
    positions = [i for i, value in enumerate(parameters) if isinstance(value, torch.Tensor)]
    # An infinite bound has no finite differences.
    positions = [i for i in positions if bool(parameters[i].isfinite().all())]
    for i in positions:
        parameters[i] = parameters[i].requires_grad_()
    return parameters, positions


def test_gradients_in_parameters_agree_with_finite_differences(case: Any) -> None:
    parameters, positions = differentiable(case)
    if not positions:
        pytest.skip("its parameters are all integers")
    if case.distribution.name in ("multivariate_normal", "wishart") and len(parameters) < 4:
        pytest.skip("a single entry of a symmetric matrix cannot move alone: see the next test")

    for value in case.values():

        def score(*moved: torch.Tensor, value: torch.Tensor = value) -> torch.Tensor:
            arguments = list(parameters)
            for i, tensor in zip(positions, moved, strict=True):
                arguments[i] = tensor
            return case.log_prob(value, *arguments)  # type: ignore[no-any-return]

        assert torch.autograd.gradcheck(score, [parameters[i] for i in positions])


@pytest.mark.parametrize("name", ["covariance_matrix", "precision_matrix"])
def test_gradients_in_symmetric_matrices_agree_with_finite_differences(multivariate: Any, name: str) -> None:
    names = list(multivariate.distribution.signature.parameters)
    parameters = list(multivariate.parameters())
    if name not in names or len(parameters) <= names.index(name) or parameters[names.index(name)] is None:
        pytest.skip("it has no such parameter here")
    root = torch.linalg.cholesky(parameters[names.index(name)]).requires_grad_()

    for value in multivariate.values():

        def score(factor: torch.Tensor, value: torch.Tensor = value) -> torch.Tensor:
            arguments = list(parameters)
            arguments[names.index(name)] = factor @ factor.mT
            return multivariate.log_prob(value, *arguments)  # type: ignore[no-any-return]

        assert torch.autograd.gradcheck(score, [root])


def test_gradients_in_the_value_agree_with_finite_differences(continuous: Any) -> None:
    if continuous.distribution.name in ("dirichlet", "wishart", "lkj_cholesky"):
        pytest.skip("a single entry cannot move alone: see the next test")
    edges = continuous.distribution.family.fixed_support
    for value in continuous.values():
        if value.dim() == 0 and value == 0.0 and edges is not torch.distributions.constraints.real:
            continue  # at the edge of the support there is no difference to the left

        def score(moved: torch.Tensor) -> torch.Tensor:
            return continuous.log_prob(moved, *continuous.parameters())  # type: ignore[no-any-return]

        assert torch.autograd.gradcheck(score, [value.requires_grad_()])


@pytest.mark.parametrize("name", ["dirichlet", "lkj_cholesky"])
def test_gradients_along_the_support_agree_with_finite_differences(multivariate: Any, name: str) -> None:
    if multivariate.distribution.name != name:
        pytest.skip("another row")
    onto = torch.distributions.biject_to(multivariate.distribution.family.fixed_support)
    for value in multivariate.values():
        point = onto.inv(value).detach().requires_grad_()

        def score(moved: torch.Tensor) -> torch.Tensor:
            return multivariate.log_prob(onto(moved), *multivariate.parameters())  # type: ignore[no-any-return]

        assert torch.autograd.gradcheck(score, [point])


def test_gradients_in_a_wishart_matrix_agree_with_finite_differences() -> None:
    root = torch.tensor([[1.2, 0.0], [0.3, 0.7]], dtype=torch.float64, requires_grad=True)
    covariance = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)

    assert torch.autograd.gradcheck(lambda r: g.wishart.family.log_prob(r @ r.mT, 3.5, covariance), [root])


def test_values_off_the_support_leave_the_gradients_of_others_finite(continuous: Any) -> None:
    if not continuous.outside:
        pytest.skip("it is supported everywhere")
    parameters, positions = differentiable(continuous)
    values = torch.stack(
        [continuous.convert(v) for v in continuous.inside + continuous.outside]
    ).requires_grad_()
    batch = values.shape[0]
    names = list(continuous.distribution.signature.parameters)
    constraints = continuous.distribution.family.arg_constraints
    columns = [
        torch.stack([p] * batch) if isinstance(p, torch.Tensor) and names[i] in constraints else p
        for i, p in enumerate(parameters)
    ]

    log_prob = continuous.log_prob(values, *columns)
    log_prob[: len(continuous.inside)].sum().backward()

    # A uniform density does not depend on the value.
    assert values.grad is None or bool(values.grad.isfinite().all())
    for i in positions:
        assert bool(parameters[i].grad.isfinite().all())


@pytest.mark.parametrize(
    ("distribution", "value", "args", "expected"),
    [
        (g.poisson, 0, (0.0,), -1.0),
        (g.bernoulli, False, (0.0,), -1.0),
        (g.bernoulli, True, (1.0,), 1.0),
        (g.binomial, 0, (0.0,), -3.0),
        (g.binomial, 3, (1.0,), 3.0),
        (g.geometric, 0, (1.0,), 1.0),
        (g.negative_binomial, 0, (0.0,), -3.0),
    ],
)
def test_gradients_are_right_where_a_probability_is_zero_or_one(
    distribution: Any, value: Any, args: tuple[float], expected: float
) -> None:
    parameter = torch.tensor(args[0], requires_grad=True)
    before = (3,) if "total_count" in distribution.signature.parameters else ()
    log_prob = distribution.family.log_prob(
        distribution.family.convert(value, *before, parameter), *before, parameter
    )
    log_prob.backward()

    assert parameter.grad == expected


def test_samples_of_numbers_move_with_their_parameters(reparameterised: Any) -> None:
    """At a fixed share u = F(x; theta) of the mass, dx = -(dF / dtheta) / p(x) dtheta."""
    if reparameterised.distribution.name in ("beta", "student_t"):
        pytest.skip("made of two draws, so it is right only on average: see the next test")
    parameters, positions = differentiable(reparameterised)
    torch.manual_seed(0)
    for _ in range(5):
        sample = reparameterised.distribution.family.sample(*parameters)
        gradients = torch.autograd.grad(sample, [parameters[i] for i in positions])
        density = np.exp(float(reparameterised.log_prob(sample, *parameters).detach()))
        for i, gradient in zip(positions, gradients, strict=True):
            moved = []
            for step in (1e-5, -1e-5):
                arguments = list(reparameterised.args)
                arguments[i] = arguments[i] + step
                moved.append(float(reparameterised.scipy(*arguments).cdf(float(sample.detach()))))
            expected = -(moved[0] - moved[1]) / 2e-5 / density

            assert float(gradient) == pytest.approx(expected, rel=1e-3, abs=1e-4)


TANH_SLOPE = (
    stats.t(2.501).expect(lambda x: np.tanh(x) ** 2) - stats.t(2.499).expect(lambda x: np.tanh(x) ** 2)
) / 0.002


@pytest.mark.parametrize(
    ("distribution", "args", "statistic", "expected"),
    [
        # The mean of the first component, (d / da) a / (a + b).
        (g.dirichlet, ([2.0, 3.0],), lambda x: x[..., 0], [3 / 25, -2 / 25]),
        (g.beta, (2.0, 3.0), lambda x: x, 3 / 25),
        # By numerical integration.
        (g.student_t, (2.5,), lambda x: x.tanh().square(), TANH_SLOPE),
        # E X = df V.
        (g.wishart, (3.5, [[2.0, 0.5], [0.5, 1.0]]), lambda x: x[..., 0, 0], 2.0),
    ],
)
def test_samples_move_with_their_parameters_on_average(
    distribution: Any, args: tuple[Any, ...], statistic: Any, expected: Any
) -> None:
    torch.manual_seed(0)
    first = torch.tensor(args[0], dtype=torch.float64, requires_grad=True)
    rest = [torch.tensor(value, dtype=torch.float64) for value in args[1:]]
    batch = first.expand(20_000, *first.shape)
    (per_sample,) = torch.autograd.grad(statistic(distribution.family.sample(batch, *rest)).sum(), batch)
    gradient, error = per_sample.mean(0), per_sample.std(0) / 20_000**0.5

    deviation = (gradient - torch.tensor(expected, dtype=torch.float64)).abs() / error
    assert float(deviation.max()) < 4.0


def test_discrete_samples_have_no_gradient(discrete: Any) -> None:
    parameters, _ = differentiable(discrete)

    assert not discrete.distribution.family.sample(*parameters).requires_grad
