"""The view from the real line: bijections, Jacobians, gradients, supports that depend on other choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import AffineTransform, ExpTransform

from gen_core import ALL, Call, Trace, UnknownSelectionError, batch, select, vmap
from gen_distributions import (
    bernoulli,
    beta,
    dirichlet,
    gamma,
    lkj_cholesky,
    normal,
    pareto,
    poisson,
    relabelled,
    transformed,
    truncated_normal,
    uniform,
    von_mises,
    wishart,
)
from gen_dml import gen
from gen_inflib import ImpossibleStartError, NoBijectionError, NoPositionError, Unconstrained
from gen_inflib.bijections import bijection
from gen_torch import jit

exp_gamma = transformed(gamma, ExpTransform())
shifted = transformed(gamma, AffineTransform(2.0, -3.0))
sides = relabelled(bernoulli, ["left", "right"])


@pytest.fixture(autouse=True)
def float64() -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@gen
def real_and_positive() -> None:
    x = normal(torch.zeros(2), 1.0) @ "x"
    gamma(2.0 + x.square(), 1.0) @ ("scale", 0)


@gen
def bounded() -> None:
    p = beta(2.0, 3.0) @ "p"
    von_mises(0.0, 1.0 + p) @ "angle"
    truncated_normal(0.0, 1.0, -1.0, 2.0) @ "cut"


@gen
def simplex() -> None:
    dirichlet(torch.tensor([1.0, 2.0, 3.0]).expand(2, 3)) @ "weights"


@gen
def correlation() -> None:
    lkj_cholesky(4, 1.5) @ "factor"


@gen
def scatter() -> None:
    wishart(torch.tensor(4.5), torch.eye(3)) @ "precision"


@gen
def dependent() -> None:
    x = gamma(3.0, 1.0) @ "x"
    y = uniform(0.0, x) @ "y"
    uniform(-y, x) @ ("z", 1)
    pareto(x, 2.0) @ "tail"


@gen
def images() -> None:
    x = exp_gamma(2.0, 1.0) @ "x"
    shifted(x, 1.0) @ "y"


@gen
def ordered_pair(scale: Tensor) -> Tensor:
    x = gamma(2.0, scale) @ "x"
    return uniform(0.0, x) @ "y"


@gen
def in_a_batch() -> None:
    vmap(ordered_pair)(torch.tensor([1.0, 2.0, 3.0])) @ "pairs"


MODELS: dict[str, tuple[Call[Any], Callable[[Trace[Any]], list[Tensor]]]] = {
    "real and positive": (real_and_positive(), lambda t: [t["scale", 0], t["x"]]),
    "bounded": (bounded(), lambda t: [t["angle"], t["cut"], t["p"]]),
    "simplex": (simplex(), lambda t: [t["weights"][:, :-1]]),
    "correlation": (correlation(), lambda t: [row[:i] for i, row in enumerate(t["factor"]) if i]),
    "scatter": (scatter(), lambda t: [t["precision"][tuple(torch.tril_indices(3, 3))]]),
    "dependent": (dependent(), lambda t: [t["tail"], t["x"], t["y"], t["z", 1]]),
    "images": (images(), lambda t: [t["x"], t["y"]]),
    "in a batch": (in_a_batch(), lambda t: [t.choices["pairs", "x"], t.choices["pairs", "y"]]),
}
"""Models, and coordinates for which their densities are."""


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def viewed(name: str, seed: int = 0) -> Unconstrained[Any]:
    torch.manual_seed(seed)
    return Unconstrained(MODELS[name][0].simulate(), ALL)


def test_the_trace_at_the_position_of_a_trace_is_that_trace(name: str) -> None:
    view = viewed(name)

    again = view.trace_at(view.position)

    for path, value in view.trace.choices.leaves():
        torch.testing.assert_close(again.choices[path], value)
    torch.testing.assert_close(again.score, view.trace.score)


def test_the_jacobian_is_that_of_the_map_from_positions_to_choices(name: str) -> None:
    view = viewed(name)
    coordinates = MODELS[name][1]

    def choices(position: Tensor) -> Tensor:
        trace = view._assess(view._pieces(position), view.fixed)
        return torch.cat([part.reshape(-1) for part in coordinates(trace)])

    matrix: Any = torch.autograd.functional.jacobian(choices, view.position)
    assert matrix.shape == (view.size, view.size)
    torch.testing.assert_close(view.log_jacobian(view.position), torch.linalg.slogdet(matrix).logabsdet)


def test_the_log_density_is_the_score_and_the_log_jacobian(name: str) -> None:
    view = viewed(name, seed=1)
    position = view.position + 0.1

    expected = view.trace_at(position).score + view.log_jacobian(position)

    torch.testing.assert_close(view.log_density(position), expected)
    torch.testing.assert_close(view.log_density(position, jacobian=False), view.trace_at(position).score)


def test_the_gradient_agrees_with_finite_differences(name: str) -> None:
    view = viewed(name, seed=2)
    position, step = view.position, 1e-5

    gradient = view.scored(position).gradient

    for i, shift in enumerate(torch.eye(view.size) * step):
        difference = view.log_density(position + shift) - view.log_density(position - shift)
        assert float(difference / (2 * step)) == pytest.approx(float(gradient[i]), rel=1e-4, abs=1e-5)


def test_a_batch_of_views_is_what_each_is_alone(name: str) -> None:
    torch.manual_seed(3)
    call = MODELS[name][0]
    traces = batch(call.simulate, size=3)()

    def scored(trace: Trace[Any]) -> Any:
        view = Unconstrained(trace, ALL)
        return view.position, view.scored(view.position)

    positions, (densities, gradients) = batch(scored)(traces)
    for row, trace in enumerate(traces):
        position, (density, gradient) = scored(trace)
        torch.testing.assert_close(positions[row], position)
        torch.testing.assert_close(densities[row], density)
        torch.testing.assert_close(gradients[row], gradient)


def test_a_staged_view_is_what_it_is_eagerly(name: str) -> None:
    view = viewed(name, seed=4)

    staged = jit(lambda trace, position: Unconstrained(trace, ALL).scored(position), backend="graph")
    found = staged(view.trace, view.position)

    expected = view.scored(view.position)
    torch.testing.assert_close(found.log_density, expected.log_density)
    torch.testing.assert_close(found.gradient, expected.gradient)


@pytest.mark.parametrize(
    ("support", "value"),
    [
        (constraints.corr_cholesky, torch.linalg.cholesky(torch.tensor([[1.0, 0.3], [0.3, 1.0]]).double())),
        (constraints.positive_definite, torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()),
        (constraints.positive_definite, torch.tensor([[2.0]]).double()),
        (constraints.nonnegative, torch.tensor([0.5, 2.0]).double()),
    ],
)
def test_the_inverse_of_a_bijection_undoes_it(support: Any, value: Tensor) -> None:
    onto = bijection(support)

    position = onto.inv(value)

    assert position.shape == onto.inverse_shape(value.shape)
    assert onto.forward_shape(position.shape) == value.shape
    torch.testing.assert_close(onto(position), value)


def test_the_order_of_the_position_is_that_of_vectors_of_choices() -> None:
    @gen
    def model() -> None:
        normal(0.0, 1.0) @ "b"
        normal(0.0, 1.0) @ ("a", 10)
        normal(0.0, 1.0) @ ("a", 2)
        normal(0.0, 1.0) @ 0

    trace = model.simulate()

    torch.testing.assert_close(Unconstrained(trace, ALL).position, trace.choices.to_vector())


def test_choices_keep_their_dtype() -> None:
    @gen
    def model() -> None:
        normal(torch.zeros((), dtype=torch.float32), 1.0) @ "narrow"
        gamma(torch.ones((), dtype=torch.float32), 1.0) @ "positive"
        normal(torch.zeros((), dtype=torch.float64), 1.0) @ "wide"

    view = Unconstrained(model.simulate(), ALL)

    again = view.trace_at(view.position)
    assert view.position.dtype == torch.float64
    dtypes = [again[address].dtype for address in ("narrow", "positive", "wide")]
    assert dtypes == [torch.float32, torch.float32, torch.float64]


def test_what_is_not_selected_stays() -> None:
    @gen
    def model() -> None:
        x = normal(0.0, 1.0) @ "x"
        bernoulli(0.5) @ "coin"
        normal(x, 1.0) @ "y"

    trace = model.simulate()
    view = Unconstrained(trace, select("x"))

    moved = view.trace_at(torch.tensor([2.0]))
    assert moved["x"] == 2.0
    assert moved["y"] is trace["y"]
    assert moved["coin"] is trace["coin"]


@gen
def discrete() -> None:
    rate = gamma(1.0, 1.0) @ "rate"
    poisson(rate) @ "count"
    sides(0.5) @ "side"


@pytest.mark.parametrize("address", ["count", "side"])
def test_choices_that_are_not_continuous_are_refused(address: str) -> None:
    with pytest.raises(NoPositionError, match=f"The choice at '{address}', from .*, of discrete cannot"):
        Unconstrained(discrete.simulate(), select(address))


def test_a_selection_of_nothing_is_refused() -> None:
    with pytest.raises(NoPositionError, match="discrete has no choice that NONE selects"):
        Unconstrained(discrete.simulate(), select())


def test_a_selected_address_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownSelectionError, match="no choice at 'rat'"):
        Unconstrained(discrete.simulate(), select("rat"))


def test_a_support_without_bijection_is_refused() -> None:
    with pytest.raises(NoBijectionError, match=r"Boolean.* has no bijection.*isolated"):
        bijection(constraints.boolean)
    with pytest.raises(NoBijectionError, match="no bijection is registered"):
        bijection(constraints.symmetric)


def test_an_impossible_trace_is_no_start() -> None:
    @gen
    def impossible() -> None:
        x = normal(0.0, 1.0) @ "x"
        uniform(x, x + 1.0) @ "y"

    trace = impossible.generate({"x": 0.0, "y": 2.0}).trace

    with pytest.raises(ImpossibleStartError, match="log density of impossible on the real line is -inf"):
        Unconstrained(trace, select("x")).start()


def test_where_a_parameter_is_out_of_range_the_density_is_nan() -> None:
    @gen
    def narrow() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(0.0, x) @ "y"

    view = Unconstrained(narrow.generate({"x": 1.0}).trace, select("x"))

    found = view.scored(torch.tensor([-1.0]))
    assert found.log_density.isnan()
    assert found.gradient == 0.0
