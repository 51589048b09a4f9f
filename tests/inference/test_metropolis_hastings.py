"""Metropolis-Hastings: acceptance ratios, changes of structure, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from gen_core import (
    Distribution,
    MissingChoiceError,
    Trace,
    UnknownSelectionError,
    UnvisitedConstraintsError,
    select,
)
from gen_distributions import TensorFamily, bernoulli, delta, normal, uniform
from gen_dml import gen
from gen_inflib import ProposalError, UndefinedWeightError, metropolis_hastings


@gen
def model() -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    normal(x, 1.0) @ "y"
    return x


@gen
def drift(trace: Trace[Tensor]) -> None:
    normal(0.5 * trace["x"], 0.3) @ "x"


@gen
def maybe() -> None:
    if bernoulli(0.3) @ "exists":
        normal(0.0, 1.0) @ "size"


def test_with_a_selection_the_log_ratio_is_the_change_of_what_was_not_selected() -> None:
    trace = model.generate({"x": 0.3, "y": 2.0}).trace

    for seed in range(20):
        torch.manual_seed(seed)
        new, info = metropolis_hastings(trace, select("x"))
        if info.accepted:
            expected = normal.log_prob(new["y"], new["x"], 1.0) - normal.log_prob(trace["y"], trace["x"], 1.0)
            assert float(info.log_acceptance_ratio) == pytest.approx(float(expected), abs=1e-5)
        else:
            assert new is trace


def test_with_a_proposal_the_log_ratio_counts_both_directions() -> None:
    trace = model.generate({"x": 0.3, "y": 2.0}).trace
    num_accepted = 0

    for seed in range(20):
        torch.manual_seed(seed)
        new, info = metropolis_hastings(trace, drift)
        num_accepted += bool(info.accepted)
        if info.accepted:
            forward = normal.log_prob(new["x"], 0.5 * trace["x"], 0.3)
            backward = normal.log_prob(trace["x"], 0.5 * new["x"], 0.3)
            expected = new.score - trace.score + backward - forward
            assert float(info.log_acceptance_ratio) == pytest.approx(float(expected), abs=1e-5)

    assert 0 < num_accepted < 20


def test_a_proposal_may_be_any_function_from_a_trace_to_a_call() -> None:
    @gen
    def near(center: Tensor, scale: float) -> None:
        normal(center, scale) @ "x"

    trace = model.simulate()
    _, info = metropolis_hastings(trace, lambda trace: near(trace["x"], 1e-4))

    assert abs(float(info.log_acceptance_ratio)) < 0.01


def test_a_proposal_that_does_nothing_is_accepted() -> None:
    @gen
    def nothing(trace: Trace[Tensor]) -> None:
        pass

    trace = model.simulate()
    new, info = metropolis_hastings(trace, nothing)

    assert new is trace
    assert info.accepted
    assert info.log_acceptance_ratio == 0.0


def test_choices_appear_and_vanish_when_the_proposal_can_go_both_ways() -> None:
    @gen
    def birth_or_death(trace: Trace[None]) -> None:
        if delta(not trace["exists"]) @ "exists":
            normal(1.0, 2.0) @ "size"

    torch.manual_seed(0)
    without = maybe.generate({"exists": False}).trace
    born = metropolis_hastings(without, birth_or_death)
    while not born[1].accepted:
        born = metropolis_hastings(without, birth_or_death)
    size = born[0]["size"]
    dead = metropolis_hastings(born[0], birth_or_death)

    birth = math.log(0.3 / 0.7) + normal.log_prob(size, 0.0, 1.0) - normal.log_prob(size, 1.0, 2.0)
    assert float(born[1].log_acceptance_ratio) == pytest.approx(float(birth), abs=1e-5)
    assert float(dead[1].log_acceptance_ratio) == pytest.approx(-float(birth), abs=1e-5)


def test_an_impossible_proposal_is_rejected_without_asking_for_the_way_back() -> None:
    @gen
    def outside(trace: Trace[None]) -> None:
        normal(5.0, -1.0 if trace["x"] > 1 else 0.1) @ "x"

    @gen
    def bounded() -> None:
        uniform(0.0, 1.0) @ "x"

    trace = bounded.simulate()
    new, info = metropolis_hastings(trace, outside)

    assert new is trace
    assert not info.accepted
    assert info.log_acceptance_ratio == -math.inf


def test_from_an_impossible_trace_any_possible_one_is_accepted() -> None:
    @gen
    def bounded() -> None:
        uniform(0.0, 1.0) @ "x"

    @gen
    def inside(trace: Trace[None]) -> None:
        uniform(0.0, 1.0 if trace["x"] > 1 else 3.0) @ "x"

    impossible = bounded.generate({"x": 1.5}).trace
    new, info = metropolis_hastings(impossible, inside)

    assert info.accepted
    assert info.log_acceptance_ratio == math.inf
    assert new["x"] <= 1


def test_a_step_keeps_no_gradients() -> None:
    @gen
    def shifted(loc: Tensor) -> None:
        normal(loc, 1.0) @ "x"

    @gen
    def near(trace: Trace[None]) -> None:
        normal(trace["x"], 0.01) @ "x"

    trace = shifted.simulate(torch.zeros((), requires_grad=True))
    _, info = metropolis_hastings(trace, near)

    assert not info.log_acceptance_ratio.requires_grad


def test_a_selected_address_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownSelectionError, match="no choice at 'z'"):
        metropolis_hastings(model.simulate(), select("z"))


def test_a_proposed_address_that_the_model_does_not_have_is_refused() -> None:
    @gen
    def wrong(trace: Trace[Tensor]) -> None:
        normal(0.0, 1.0) @ "z"

    with pytest.raises(UnvisitedConstraintsError, match="model never visited 'z'"):
        metropolis_hastings(model.simulate(), wrong)


def test_a_proposal_without_a_way_back_is_refused_and_says_so() -> None:
    @gen
    def only_death(trace: Trace[None]) -> None:
        bernoulli(0.0) @ "exists"

    trace = maybe.generate({"exists": True, "size": 1.0}).trace

    with pytest.raises(UnvisitedConstraintsError, match="only_death never visited 'size'") as caught:
        metropolis_hastings(trace, only_death)
    assert "This was the way back of a Metropolis-Hastings step" in caught.value.__notes__[-1]


def test_a_way_back_that_makes_more_choices_than_were_discarded_is_refused() -> None:
    @gen
    def once(trace: Trace[Tensor]) -> None:
        normal(0.0, 1.0) @ "x"
        if trace["x"] != 0.0:
            normal(0.0, 1.0) @ "y"

    trace = model.generate({"x": 0.0}).trace

    with pytest.raises(MissingChoiceError, match="once makes a choice at 'y'"):
        metropolis_hastings(trace, once)


@pytest.mark.parametrize("proposal", ["x", None, lambda trace: trace, lambda trace: select("x")])
def test_what_is_no_proposal_is_refused(proposal: Any) -> None:
    with pytest.raises(ProposalError, match="Expected a proposal: a selection, or a function from a trace"):
        metropolis_hastings(model.simulate(), proposal)


@dataclass(frozen=True)
class Broken(TensorFamily):
    """Its log density is the value of `parameter`."""

    name = "broken"
    arg_constraints = dict[str, Constraint]()

    def sample(self, parameter: float) -> Tensor:
        return torch.rand(())

    def log_prob(self, value: Tensor, /, parameter: float) -> Tensor:
        return torch.full(value.shape, parameter)


broken = Distribution(Broken())


def test_a_density_that_is_nan_is_reported() -> None:
    @gen
    def undefined() -> None:
        x = uniform(0.0, 1.0) @ "x"
        broken(math.nan if x < 1 else 0.0) @ "y"

    trace = undefined.generate({"x": 1.0}).trace

    with pytest.raises(
        UndefinedWeightError, match=r"log acceptance ratio of undefined is nan.*regenerate nan"
    ):
        metropolis_hastings(trace, select("x"))


def test_a_proposal_that_draws_what_it_calls_impossible_is_reported() -> None:
    @gen
    def impossible(trace: Trace[Tensor]) -> None:
        broken(-math.inf) @ "x"

    with pytest.raises(UndefinedWeightError, match="score of the proposal -inf"):
        metropolis_hastings(model.simulate(), impossible)


def test_a_selection_that_draws_the_impossible_is_rejected() -> None:
    @gen
    def narrow() -> None:
        low = uniform(0.0, 1.0) @ "low"
        uniform(low, 1.0) @ "y"

    trace = narrow.generate({"low": 0.1, "y": 0.11}).trace
    torch.manual_seed(0)
    steps = [metropolis_hastings(trace, select("low")) for _ in range(10)]

    impossible = [new is trace for new, info in steps if info.log_acceptance_ratio == -math.inf]
    assert impossible
    assert all(impossible)
