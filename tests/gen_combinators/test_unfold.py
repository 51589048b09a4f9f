"""Unfold: what each operation returns, and how few steps an edit runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gen_combinators import Unfold
from gen_combinators.errors import KernelError, LengthError, LengthTypeError
from gen_core import (
    ALL,
    ANY,
    NONE,
    UNCHANGED,
    UNKNOWN,
    MissingChoiceError,
    ParameterError,
    UnvisitedConstraintsError,
    VectorDiff,
    batch,
    param,
    select,
    verify_hints,
    vmap,
)
from gen_distributions import bernoulli, categorical, dist, normal
from gen_dml import gen
from gen_torch import jit

runs: list[int] = []
"""The steps that the kernels below ran, in order."""


@pytest.fixture(autouse=True)
def no_runs() -> Iterator[None]:
    runs.clear()
    yield


@gen
def walk(t: int, x: Any, drift: Any) -> Any:
    runs.append(t)
    x = normal(x + drift, 1.0) @ "x"
    normal(x, 0.5) @ "y"
    return x


@gen
def total_of(t: int, x: Any, scale: Any) -> Any:
    """A kernel whose state is no choice."""
    runs.append(t)
    return x + (normal(0.0, scale) @ "step")


chain = Unfold(walk)
sums = Unfold(total_of)


def log_normal(value: Any, loc: Any, scale: float = 1.0) -> Any:
    return torch.distributions.Normal(torch.as_tensor(loc, dtype=torch.float64), scale).log_prob(
        torch.as_tensor(value, dtype=torch.float64)
    )


def score_of(xs: list[float], ys: list[float], start: float, drift: float) -> Tensor:
    before = [start, *xs[:-1]]
    pairs = zip(before, xs, ys, strict=True)
    return sum((log_normal(x, b + drift) + log_normal(y, x, 0.5) for b, x, y in pairs), torch.zeros(()))


def given(xs: list[float], ys: list[float]) -> dict[tuple[int, str], float]:
    values = {(t, "x"): x for t, x in enumerate(xs)}
    return values | {(t, "y"): y for t, y in enumerate(ys)}


XS, YS = [0.1, 0.5, -0.3, 0.2], [0.0, 0.4, -0.1, 0.6]


def close(found: Tensor, expected: Any) -> bool:
    return torch.allclose(found.double(), torch.as_tensor(expected, dtype=torch.float64), atol=1e-5)


# What the operations return.


def test_the_return_value_is_the_sequence_of_states_after_each_step() -> None:
    trace = chain.simulate(3, 0.0, 0.1)

    assert list(trace.retval) == [trace[t, "x"] for t in range(3)]
    assert len(trace.retval) == 3
    assert trace.choices.paths() == [(t, name) for t in range(3) for name in ("x", "y")]


def test_the_score_is_the_sum_of_the_steps_densities() -> None:
    trace, weight = chain.generate(given(XS, YS), 4, 0.0, 0.1)

    assert close(trace.score, score_of(XS, YS, 0.0, 0.1))
    assert close(weight, trace.score)
    assert trace.score.dtype == torch.float64
    assert close(chain.assess(given(XS, YS), 4, 0.0, 0.1).score, trace.score)


def test_the_generate_weight_is_that_of_the_constrained_choices() -> None:
    trace, weight = chain.generate({(1, "y"): 0.4}, 3, 0.0, 0.1)

    assert close(weight, log_normal(0.4, trace[1, "x"], 0.5))


def test_steps_see_the_state_before_and_their_number() -> None:
    @gen
    def counting(t: int, state: tuple[int, Tensor]) -> tuple[int, Tensor]:
        return state[0] + t, normal(state[1], 1.0) @ "x"

    trace = Unfold(counting).simulate(4, (10, torch.zeros(())))

    assert [state[0] for state in trace.retval] == [10, 11, 13, 16]


def test_assess_refuses_a_missing_and_an_extra_choice() -> None:
    with pytest.raises(MissingChoiceError, match="'y'"):
        chain.assess({(0, "x"): 0.0}, 1, 0.0, 0.1)
    with pytest.raises(UnvisitedConstraintsError, match=r"\(1, 'x'\)"):
        chain.assess(given([0.0], [0.0]) | {(1, "x"): 0.0}, 1, 0.0, 0.1)


def test_project_sums_the_selected_choices() -> None:
    trace, _ = chain.generate(given(XS, YS), 4, 0.0, 0.1)

    assert close(trace.project(select((2, "y"))), log_normal(YS[2], XS[2], 0.5))
    seen = sum(log_normal(y, x, 0.5) for x, y in zip(XS, YS, strict=True))
    assert close(trace.project(select((ANY, "y"))), seen)
    assert close(trace.project(~select((ANY, "y"))), trace.score - seen)
    assert close(trace.project(NONE), 0.0)
    assert close(trace.project(ALL), trace.score)


def test_an_unfold_of_no_steps_works_everywhere() -> None:
    trace, weight = chain.generate({}, 0, 0.0, 0.1)

    assert len(trace.retval) == 0
    assert list(trace.choices) == []
    assert float(trace.score) == float(weight) == 0.0
    assert len(trace.update({}, chain(2, 0.0, 0.1)).trace.retval) == 2
    assert len(chain.simulate(2, 0.0, 0.1).update({}, chain(0, 0.0, 0.1)).trace.retval) == 0


def test_gradients_flow_from_step_to_step() -> None:
    drift = torch.tensor(0.1)
    trace, _ = chain.generate(given(XS, YS), 4, torch.tensor(0.0), drift)

    gradients = trace.choice_gradients(select((1, "x")))

    assert gradients.args.args[0] is None
    before = [0.0, *XS[:-1]]
    pulls = [x - (b + 0.1) for b, x in zip(before, XS, strict=True)]
    assert close(gradients.args.args[1], pulls[0])
    assert close(gradients.args.args[2], sum(pulls))
    assert close(gradients.gradients[1, "x"], -pulls[1] + pulls[2] + (YS[1] - XS[1]) / 0.25)


def test_parameters_of_the_kernel_get_gradients() -> None:
    @gen
    def learned(t: int, x: Any) -> Tensor:
        return normal(x + param("drift", 0.5), 1.0) @ "x"

    trace, _ = Unfold(learned).generate({(0, "x"): 1.0, (1, "x"): 1.0}, 2, 0.0)
    trace.accumulate_param_gradients()

    gradient = learned.params["drift"].grad
    assert gradient is not None
    assert close(gradient, (1.0 - 0.5) + (0.0 - 0.5))


def test_networks_in_the_kernel_are_found() -> None:
    net = nn.Linear(1, 1)

    @gen
    def moved(t: int, x: Tensor) -> Tensor:
        return normal(net(x), 1.0) @ "x"

    unfold = Unfold(moved)
    module = unfold.get_torch_nn_module()
    unfold.simulate(2, torch.zeros(1)).accumulate_param_gradients()

    assert any(parameter is net.weight for parameter in module.parameters())
    assert net.bias.grad is not None


# Edits.


def test_updating_one_choice_weighs_the_difference() -> None:
    trace, _ = chain.generate(given(XS, YS), 4, 0.0, 0.1)

    new, weight, retdiff, discard = trace.update({(1, "x"): 0.7})

    changed = [XS[0], 0.7, *XS[2:]]
    assert close(new.score, score_of(changed, YS, 0.0, 0.1))
    assert close(weight, new.score - trace.score)
    assert dict(discard.items()) == {(1, "x"): XS[1]}
    assert retdiff == VectorDiff(4, 4, {1: UNKNOWN})


@pytest.mark.unverified
def test_an_edit_stops_where_a_step_returns_what_it_did_before() -> None:
    trace = chain.simulate(6, 0.0, 0.1)
    runs.clear()

    trace.update({(1, "x"): 0.7})

    assert runs == [1, 2]


@pytest.mark.unverified
def test_an_edit_that_keeps_the_state_runs_one_step() -> None:
    trace = chain.simulate(6, 0.0, 0.1)
    runs.clear()

    updated = trace.update({(3, "y"): 0.7})

    assert runs == [3]
    assert updated.retdiff is UNCHANGED


@pytest.mark.unverified
def test_edits_apart_do_not_run_what_lies_between() -> None:
    trace = chain.simulate(9, 0.0, 0.1)
    runs.clear()

    trace.update({(7, "x"): 0.7, (1, "x"): 0.1, (2, "y"): 0.0})

    assert runs == [1, 2, 7, 8]


@pytest.mark.unverified
def test_a_state_that_goes_on_differing_is_followed_to_the_end() -> None:
    trace = sums.simulate(5, torch.zeros(()), 1.0)
    runs.clear()

    new, weight, retdiff, _ = trace.update({(2, "step"): 1.0})

    assert runs == [2, 3, 4]
    assert close(weight, log_normal(1.0, 0.0) - log_normal(trace[2, "step"], 0.0))
    assert retdiff == VectorDiff(5, 5, dict.fromkeys((2, 3, 4), UNKNOWN))
    assert close(new.retval[4], sum(float(new[t, "step"]) for t in range(5)))


@pytest.mark.unverified
def test_extending_runs_the_new_steps_only() -> None:
    trace = chain.simulate(50, 0.0, 0.1)
    runs.clear()

    new, weight, retdiff, discard = trace.update({(51, "y"): 0.4}, chain(52, 0.0, 0.1))

    assert runs == [50, 51]
    assert close(weight, log_normal(0.4, new[51, "x"], 0.5))
    assert retdiff == VectorDiff(52, 50)
    assert discard.is_empty
    assert new.retval[10] is trace.retval[10]


@pytest.mark.unverified
def test_shortening_runs_nothing() -> None:
    trace = chain.simulate(5, 0.0, 0.1)
    runs.clear()

    new, weight, retdiff, discard = trace.update({}, chain(3, 0.0, 0.1))

    assert runs == []
    dropped = trace.project(select(3, 4))
    assert close(weight, -dropped)
    assert close(new.score, trace.score - dropped)
    assert discard == trace.choices.filter(select(3, 4))
    assert retdiff == VectorDiff(3, 5)


def test_shortening_by_regenerate_weighs_nothing() -> None:
    trace = chain.simulate(5, 0.0, 0.1)

    _, weight, _, discard = trace.regenerate(NONE, chain(3, 0.0, 0.1))

    assert close(weight, 0.0)
    assert discard == trace.choices.filter(select(3, 4))


def test_a_change_and_its_discard_undo_each_other() -> None:
    trace = chain.simulate(5, 0.0, 0.1)
    shorter = trace.update({(1, "x"): 0.3}, chain(3, 0.0, 0.1))

    back = shorter.trace.update(shorter.discard, trace.call)

    assert close(back.weight, -shorter.weight)
    assert back.trace.choices == trace.choices


@pytest.mark.unverified
def test_another_initial_state_starts_at_the_first_step() -> None:
    trace = chain.simulate(6, 0.0, 0.1)
    runs.clear()

    new, weight, retdiff, _ = trace.update({}, chain(6, 1.0, 0.1))

    assert runs == [0]
    x = trace[0, "x"]
    assert close(weight, log_normal(x, 1.1) - log_normal(x, 0.1))
    assert retdiff is UNCHANGED
    assert close(new.score, trace.score + weight)


@pytest.mark.unverified
def test_another_parameter_runs_every_step() -> None:
    trace, _ = chain.generate(given(XS, YS), 4, 0.0, 0.1)
    runs.clear()

    new, weight, retdiff, _ = trace.update({}, chain(4, 0.0, 0.3))

    assert runs == [0, 1, 2, 3]
    assert close(new.score, score_of(XS, YS, 0.0, 0.3))
    assert close(weight, new.score - trace.score)
    assert retdiff is UNCHANGED


@pytest.mark.unverified
def test_hints_say_what_did_not_change() -> None:
    drift = [0.1]  # a list may have been changed in place

    @gen
    def listed(t: int, x: Any, drift: list[float]) -> Tensor:
        runs.append(t)
        return normal(x + drift[0], 1.0) @ "x"

    unfold = Unfold(listed)
    trace = unfold.simulate(4, 0.0, drift)
    runs.clear()

    trace.update({}, unfold(5, 0.0, drift), argdiffs={"drift": UNCHANGED})
    assert runs == [4]
    trace.update({}, unfold(5, 0.0, drift))
    assert runs == [4, 0, 1, 2, 3, 4]


@pytest.mark.unverified
def test_unknown_arguments_revisit_every_step() -> None:
    trace = chain.simulate(4, 0.0, 0.1)
    runs.clear()

    updated = trace.update({}, argdiffs=UNKNOWN)

    assert runs == [0, 1, 2, 3]
    assert close(updated.weight, 0.0)


def test_hints_are_verified() -> None:
    trace = chain.simulate(6, 0.0, 0.1)

    with verify_hints():
        trace.update({(2, "x"): 0.3}, chain(8, 0.0, 0.1))
        trace.regenerate(select((3, "y")), chain(4, 0.0, 0.1))


@pytest.mark.unverified
def test_regenerating_one_step_runs_it_and_the_next() -> None:
    trace = chain.simulate(8, 0.0, 0.1)
    runs.clear()

    new, weight, _, discard = trace.regenerate(select((3, "x")))

    assert runs == [3, 4]
    assert discard.paths() == [(3, "x")]
    kept = ~select((3, "x"))
    assert close(weight, new.project(kept) - trace.project(kept))


def test_every_kind_of_selection_works() -> None:
    trace = chain.simulate(4, 0.0, 0.1)

    for selection in (select((ANY, "y")), ~select(2), select(1) | select((3, "x")), ALL):
        new, weight, _, discard = trace.regenerate(selection)
        assert close(weight, new.project(~selection) - trace.project(~selection))
        assert discard == trace.choices.filter(selection)


def test_an_impossible_trace_gets_a_finite_score_again() -> None:
    @gen
    def stay(t: int, state: Any) -> Tensor:
        return bernoulli(1.0 if state else 0.5) @ "s"

    trace, _ = Unfold(stay).generate({(0, "s"): True, (1, "s"): False}, 2, True)
    assert float(trace.score) == float("-inf")

    back = trace.update({(1, "s"): True}).trace

    assert float(back.score) == 0.0


def test_a_million_edits_would_not_drift() -> None:
    trace, _ = chain.generate(given(XS, YS), 4, 0.0, 0.1)
    first = trace.score

    for _ in range(100):
        trace = trace.update({(1, "x"): 0.7}).trace
        trace = trace.update({(1, "x"): XS[1]}).trace

    assert abs(float(trace.score - first)) < 1e-5


# As a callee.


@gen
def model(length: int) -> Any:
    drift = normal(0.0, 1.0) @ "drift"
    return Unfold(walk)(length, 0.0, drift) @ "chain"


@pytest.mark.unverified
def test_extending_inside_a_dynamic_caller_runs_one_step() -> None:
    trace = model.simulate(30)
    runs.clear()

    new, weight, retdiff, _ = trace.update({("chain", 30, "y"): 0.2}, model(31))

    assert runs == [30]
    assert close(weight, log_normal(0.2, new["chain", 30, "x"], 0.5))
    assert retdiff == VectorDiff(31, 30)


@pytest.mark.unverified
def test_an_edit_inside_a_dynamic_caller_runs_what_it_reaches() -> None:
    trace = model.simulate(30)
    runs.clear()

    trace.update({("chain", 7, "y"): 0.2})
    assert runs == [7]
    trace.update({"drift": 0.0})
    assert runs[1:] == list(range(30))


def test_unfolds_of_equal_kernels_are_equal() -> None:
    assert Unfold(walk) == Unfold(walk)
    assert hash(Unfold(walk)) == hash(Unfold(walk))
    assert Unfold(walk) != Unfold(total_of)


# Kernels and states of every kind.


def test_a_distribution_may_be_the_kernel() -> None:
    @dist
    def drifted(t: int, x: Any, scale: float) -> Tensor:
        return normal.sample(x, scale)

    trace, weight = Unfold(drifted).generate({0: 0.3, 2: 0.1}, 3, 0.0, 1.0)

    assert trace.choices.paths() == [(0,), (1,), (2,)]
    middle = trace.retval[1]
    assert close(weight, log_normal(0.3, 0.0) + log_normal(0.1, middle))
    assert close(
        trace.update({1: 0.2}).weight,
        log_normal(0.2, 0.3) + log_normal(0.1, 0.2) - trace.project(select(1, 2)),
    )


class Motion(NamedTuple):
    place: Tensor
    speed: Tensor


@dataclass(frozen=True)
class Belief:
    mean: Tensor
    label: str


def test_a_state_may_be_a_named_tuple() -> None:
    @gen
    def move(t: int, state: Motion) -> Motion:
        speed = normal(state.speed, 0.1) @ "speed"
        return Motion(state.place + speed, speed)

    unfold = Unfold(move)
    trace = unfold.simulate(4, Motion(torch.zeros(()), torch.ones(())))
    extended = trace.update({}, unfold(5, *trace.args[1:])).trace

    assert isinstance(trace.retval[-1], Motion)
    assert close(extended.retval[4].place, float(trace.retval[3].place + extended[4, "speed"]))


def test_a_state_may_be_a_dataclass_or_any_object() -> None:
    @gen
    def relabel(t: int, state: Belief) -> Belief:
        return Belief(normal(state.mean, 1.0) @ "mean", state.label + str(t))

    @gen
    def history(t: int, state: list[Tensor]) -> list[Tensor]:
        return [*state, normal(0.0, 1.0) @ "x"]

    labels = Unfold(relabel).simulate(3, Belief(torch.zeros(()), ""))
    lists = Unfold(history).simulate(3, [])

    assert labels.retval[-1].label == "012"
    assert [len(state) for state in lists.retval] == [1, 2, 3]
    assert len(lists.update({(1, "x"): 0.0}).trace.retval[2]) == 3


def test_a_kernel_may_take_defaults_and_keywords() -> None:
    @gen
    def tuned(t: int, x: Any, drift: float = 0.5, *, scale: float = 1.0) -> Tensor:
        return normal(x + drift, scale) @ "x"

    unfold = Unfold(tuned)

    trace, _ = unfold.generate({(0, "x"): 0.5}, 1, 0.0)
    assert close(trace.score, log_normal(0.5, 0.5))
    assert close(trace.update({}, unfold(1, 0.0, 0.0, scale=2.0)).trace.score, log_normal(0.5, 0.0, 2.0))


def test_a_kernel_may_have_a_parameter_called_length() -> None:
    @gen
    def named(t: int, x: Any, length: float) -> Tensor:
        return normal(x, length) @ "x"

    assert len(Unfold(named).simulate(2, 0.0, 1.0).retval) == 2


@pytest.mark.unverified
def test_unfolds_nest() -> None:
    @gen
    def outer(t: int, x: Any) -> Any:
        inner = Unfold(walk)(2, x, 0.0) @ "inner"
        return inner[-1]

    trace = Unfold(outer).simulate(3, 0.0)
    runs.clear()
    new, weight, _, _ = trace.update({(1, "inner", 0, "y"): 0.1})

    assert runs == [0]
    assert close(
        weight, log_normal(0.1, new[1, "inner", 0, "x"], 0.5) - trace.project(select((1, "inner", 0, "y")))
    )


# Lengths and errors.


def test_a_length_may_be_an_integer_tensor() -> None:
    assert len(chain.simulate(torch.tensor(3), 0.0, 0.1).retval) == 3

    @gen
    def random_length() -> Any:
        n = categorical([0.2, 0.3, 0.5]) @ "n"
        return Unfold(walk)(n, 0.0, 0.1) @ "chain"

    trace, _ = random_length.generate({"n": 2})
    assert len(trace.retval) == 2
    assert len(trace.update({"n": 1}).trace.retval) == 1


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(LengthError, match=r"`length` of Unfold\(walk\) to be at least 0, but got -1"):
        chain.simulate(-1, 0.0, 0.1)
    with pytest.raises(LengthError, match="at least 0"):
        chain.simulate(2, 0.0, 0.1).update({}, chain(-2, 0.0, 0.1))


@pytest.mark.parametrize("length", [2.0, True, "2", None, torch.tensor(2.0), torch.tensor(True), [3]])
def test_a_length_that_is_no_integer_is_refused(length: Any) -> None:
    with pytest.raises(LengthTypeError, match=r"`length` of Unfold\(walk\) to be an int"):
        chain.simulate(length, 0.0, 0.1)


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(KernelError, match="generative function"):
        Unfold(lambda t, x: x)

    @gen
    def alone(t: int) -> int:
        return t

    with pytest.raises(KernelError, match="two arguments"):
        Unfold(alone)  # type: ignore[arg-type]


def test_an_error_in_a_step_names_the_step() -> None:
    @gen
    def broken(t: int, x: Any) -> Tensor:
        return normal(x, 1.0 if t < 2 else -1.0) @ "x"

    @gen
    def above() -> Any:
        return Unfold(broken)(4, 0.0) @ "chain"

    with pytest.raises(ParameterError, match="scale") as raised:
        above.simulate()
    assert "at address ('chain', 2)" in str(raised.value.__notes__)


def test_a_bad_parameter_of_a_distribution_names_the_step() -> None:
    @dist
    def drifted(t: int, x: Any, scale: float) -> Tensor:
        return normal.sample(x, scale - t)

    with pytest.raises(ParameterError, match="at address 1"):
        Unfold(drifted).simulate(3, 0.0, 1.0)


def test_constraints_beyond_the_end_are_refused() -> None:
    with pytest.raises(UnvisitedConstraintsError, match=r"\(3, 'x'\)"):
        chain.generate({(3, "x"): 0.0}, 3, 0.0, 0.1)


# Batches and staged programs.


def test_unfolds_batch() -> None:
    traces, weights = batch(lambda x: chain.generate({(1, "y"): 0.5}, 3, x, 0.1))(torch.zeros(6))

    for trace, weight in zip(traces, weights, strict=True):
        assert close(weight, log_normal(0.5, trace[1, "x"], 0.5))
    extended = batch(lambda trace: trace.update({(3, "y"): 0.1}, chain(4, trace.args[1], 0.1)))(traces)
    assert close(extended.weight[2], log_normal(0.1, extended.trace[2][3, "x"], 0.5))


def test_a_batch_may_be_the_kernel() -> None:
    @gen
    def element(t: int, x: Tensor) -> Tensor:
        return normal(x, 1.0) @ "x"

    unfold = Unfold(vmap(element, in_dims=(None, 0)))
    trace = unfold.simulate(3, torch.zeros(5))

    assert trace[2, "x"].shape == (5,)


def test_staged_unfolds_return_what_eager_ones_do() -> None:
    trace = chain.simulate(3, torch.tensor(0.0), torch.tensor(0.1))

    staged = jit(lambda old, y: old.update({(2, "y"): y}))(trace, torch.tensor(0.3))

    assert close(staged.weight, trace.update({(2, "y"): torch.tensor(0.3)}).weight)
