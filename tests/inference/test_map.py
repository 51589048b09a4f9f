"""MAP: modes with and without the Jacobian, optimizers, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import NONE, param, select
from gen_distributions import bernoulli, beta, dirichlet, gamma, normal, uniform
from gen_dml import gen
from gen_inflib import CountError, ImpossibleStartError, NoPositionError, OptionsError, map_optimize
from gen_inflib.map_optimize import LINE_SEARCH_LBFGS
from gen_inflib.scorer import Climbable, program_of

HEADS = 4
TOSSES = {("toss", i): i < HEADS for i in range(5)}


@gen
def tosses() -> Tensor:
    chance = beta(2.0, 3.0) @ "chance"
    for i in range(5):
        bernoulli(chance) @ ("toss", i)
    return chance


@pytest.mark.parametrize(
    "optimizer",
    [
        None,
        partial(torch.optim.LBFGS, lr=0.5),
        partial(torch.optim.Adam, lr=0.1),
        partial(torch.optim.SGD, lr=0.3),
    ],
    ids=["default", "LBFGS", "Adam", "SGD"],
)
def test_any_optimizer_finds_the_mode(optimizer: Any) -> None:
    torch.manual_seed(0)
    options = {} if optimizer is None else {"optimizer": optimizer}

    found = map_optimize(tosses(), TOSSES, num_steps=300, **options)

    # The mode of beta(2 + 4, 3 + 1) is (6 - 1) / (10 - 2).
    assert found.has_converged
    assert float(found.trace["chance"]) == pytest.approx(5 / 8, abs=0.003)
    torch.testing.assert_close(found.log_density, found.trace.score)
    assert len(found.log_densities) < 300


def test_with_the_jacobian_the_mode_is_that_on_the_real_line() -> None:
    torch.manual_seed(0)

    found = map_optimize(tosses(), TOSSES, jacobian=True)

    # The density of the logit is that of beta, times chance (1 - chance).
    assert float(found.trace["chance"]) == pytest.approx(6 / 10, abs=0.003)


def test_several_choices_with_supports_of_their_own() -> None:
    @gen
    def model() -> None:
        scale = gamma(3.0, 2.0) @ "scale"
        dirichlet(torch.tensor([2.0, 3.0, 5.0])) @ "weights"
        x = normal(0.0, scale) @ "x"
        normal(x, 0.5) @ "y"

    torch.manual_seed(1)

    found = map_optimize(model(), {"y": 1.0})

    torch.testing.assert_close(found.trace["weights"], torch.tensor([1.0, 2.0, 4.0]) / 7, atol=5e-3, rtol=0.0)
    gradients = found.trace.choice_gradients(select("scale", "x")).gradients
    assert abs(float(gradients["scale"])) < 0.05
    assert abs(float(gradients["x"])) < 0.05


def test_a_trace_with_a_selection_moves_only_that() -> None:
    @gen
    def pair() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(x, 1.0) @ "y"

    trace = pair.generate({"x": 3.0, "y": 2.0}).trace

    found = map_optimize(trace, selection=select("x"))

    assert float(found.trace["x"]) == pytest.approx(1.0, abs=1e-3)
    assert found.trace["y"] is trace["y"]


def test_finite_choices_are_summed_over() -> None:
    @gen
    def mixture() -> None:
        which = bernoulli(0.5) @ "which"
        loc = normal(0.0, 2.0) @ "loc"
        normal(torch.where(which, loc, -loc), 1.0) @ "y"

    trace = mixture.generate({"y": 2.0, "loc": 0.5}).trace

    found = map_optimize(trace, selection=select("loc"), enumerate=select("which"))

    grid = torch.linspace(0.0, 5.0, 5001)
    prior = torch.distributions.Normal(0.0, 2.0).log_prob(grid)
    sides = [torch.distributions.Normal(sign * grid, 1.0).log_prob(torch.tensor(2.0)) for sign in (1, -1)]
    best = grid[(prior + torch.stack(sides).logsumexp(0)).argmax()]
    assert float(found.trace["loc"]) == pytest.approx(float(best), abs=5e-3)


@gen
def sides() -> None:
    which = bernoulli(0.5) @ "which"
    scale = gamma(3.0, 2.0) @ "scale"
    loc = normal(0.0, 2.0) @ "loc"
    normal(torch.where(which, loc, -loc), scale) @ "y"


@pytest.mark.parametrize("optimizer", [LINE_SEARCH_LBFGS, partial(torch.optim.Adam, lr=0.05)])
def test_a_compiled_search_ends_where_an_eager_one_does(optimizer: Any) -> None:
    trace = sides.generate({"y": 2.0, "loc": 0.5, "scale": 1.0, "which": True}).trace
    found = []
    for compile in (False, True):
        torch.manual_seed(0)
        search = partial(map_optimize, enumerate=select("which"), optimizer=optimizer, compile=compile)
        found.append(search(trace, selection=select("loc", "scale"), num_steps=40, jacobian=True))

    eager, compiled = found
    assert compiled.has_converged is eager.has_converged
    torch.testing.assert_close(compiled.log_density, eager.log_density, rtol=1e-4, atol=1e-4)
    # Both are within the tolerance of the gradient, 0.01 nats, from the mode.
    for address in ("loc", "scale"):
        torch.testing.assert_close(compiled.trace[address], eager.trace[address], rtol=0.0, atol=1e-2)
    assert bool(compiled.trace["which"]) is bool(eager.trace["which"])


def test_one_program_serves_all_searches_of_a_model() -> None:
    climbable = Climbable.of(sides.simulate(), select("loc"), NONE, jacobian=False)
    for start in (0.3, 3.0):
        trace = sides.generate({"y": 2.0, "loc": start, "scale": 1.0, "which": True}).trace
        found = map_optimize(trace, selection=select("loc"), compile=True)

        # The density of loc is that of normal(0, 2), times that of a measurement with error 1.
        assert float(found.trace["loc"]) == pytest.approx(1.6, abs=0.01)
    assert program_of(climbable, "map_optimize").num_programs == 1


def test_a_compiled_search_comes_back_from_where_parameters_are_invalid() -> None:
    @gen
    def narrow() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(0.0, 1.0 - x) @ "y"

    trace = narrow.generate({"x": 0.5, "y": 0.9}).trace
    found = []
    for compile in (False, True):
        torch.manual_seed(0)
        bold = partial(torch.optim.SGD, lr=2.0)
        found.append(map_optimize(trace, selection=select("x"), optimizer=bold, num_steps=4, compile=compile))

    # The first step leads above 1, where there is no density.
    eager, compiled = found
    assert bool(eager.log_densities.isnan().any())
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4, equal_nan=True)
    close(compiled.log_densities, eager.log_densities)
    close(compiled.trace["x"], eager.trace["x"])


def test_parameters_get_no_gradient() -> None:
    @gen
    def trainable() -> None:
        x = normal(param("loc", 1.0), 1.0) @ "x"
        normal(x, 1.0) @ "y"

    map_optimize(trainable(), {"y": 0.0})

    assert all(parameter.grad is None for parameter in trainable.params.values())


def test_a_search_that_runs_away_returns_the_best_that_it_met() -> None:
    torch.manual_seed(0)
    wild = partial(torch.optim.SGD, lr=1e4)
    start = tosses.generate(TOSSES | {"chance": 0.5}).trace

    found = map_optimize(start, selection=select("chance"), optimizer=wild, num_steps=5)

    assert found.log_density >= start.score
    assert not found.has_converged


def test_a_start_that_is_impossible_is_refused() -> None:
    @gen
    def impossible() -> None:
        x = normal(0.0, 1.0) @ "x"
        uniform(x, x + 1.0) @ "y"

    trace = impossible.generate({"x": 0.0, "y": 2.0}).trace

    with pytest.raises(ImpossibleStartError, match="log density of impossible on the real line is -inf"):
        map_optimize(trace, selection=select("x"))


def test_what_is_to_move_must_be_said() -> None:
    with pytest.raises(OptionsError, match="A trace does not know what is observed"):
        map_optimize(tosses.simulate())
    with pytest.raises(OptionsError, match="Expected observations of tosses"):
        map_optimize(tosses())


def test_no_steps_and_discrete_choices_are_refused() -> None:
    with pytest.raises(CountError, match="Expected `num_steps` to be an integer of at least 1"):
        map_optimize(tosses(), TOSSES, num_steps=0)
    with pytest.raises(NoPositionError, match="from bernoulli, of tosses cannot be moved"):
        map_optimize(tosses(), {})
