"""Kernels without gradients and how they are put together: what they do, and what they refuse."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import ANY, ChoiceMap, NoChoiceError, Trace, UnknownSelectionError, batch, choicemap, select
from gen_distributions import (
    bernoulli,
    categorical,
    gamma,
    multivariate_normal,
    normal,
    uniform_discrete,
)
from gen_dml import gen
from gen_inflib import (
    ControlChangedError,
    CountError,
    InvolutionError,
    IrreversibleKernelError,
    NotPlainError,
    ObservationChangedError,
    PriorError,
    Progress,
    ScaleError,
    Stepped,
    StructureChangedError,
    UncheckableError,
    checked,
    cycle,
    declare_reversal,
    elliptical_slice,
    for_each,
    for_random,
    gibbs,
    involution_of,
    involutive_metropolis_hastings,
    mcmc,
    metropolis_hastings,
    mixture,
    random_walk,
    repeat,
    reversed_kernel,
    slice_sampling,
    when,
)
from gen_inflib.position_errors import EnumerationError, ImpossibleStartError, NoPositionError


@gen
def model() -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    scale = gamma(2.0, 2.0) @ "scale"
    k = categorical([0.2, 0.5, 0.3]) @ "k"
    normal(x + k, scale) @ "y"
    return x


START = model.generate({"x": 0.3, "scale": 1.2, "k": 1, "y": 2.0}).trace


@gen
def branching() -> None:
    x = normal(0.0, 1.0) @ "x"
    flag = bernoulli(0.5) @ "flag"
    if x > 0 or flag:
        normal(0.0, 1.0) @ "more"


BRANCHING = branching.generate({"x": -1e-3, "flag": False}).trace


class Adaptive:
    """An adaptive kernel that does nothing."""

    def initial(self, trace: Trace[Any], /) -> Any:
        return ()

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> Stepped:
        return Stepped(trace, state, None)

    def frozen(self, state: Any, /) -> Any:
        return lambda trace: (trace, None)


# Random walks and slices.


def test_the_ratio_of_a_random_walk_is_the_change_of_the_score() -> None:
    torch.manual_seed(0)
    for _ in range(10):
        new, info = random_walk(START, select("x"), scale=0.5)
        if info.accepted:
            assert float(info.log_acceptance_ratio) == pytest.approx(float(new.score - START.score), abs=1e-5)


def test_the_ratio_of_a_random_walk_on_a_constrained_choice_has_the_jacobian() -> None:
    torch.manual_seed(0)
    for _ in range(10):
        new, info = random_walk(START, select("scale"), scale=0.5)
        if info.accepted:
            expected = new.score - START.score + new["scale"].log() - START["scale"].log()
            assert float(info.log_acceptance_ratio) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, torch.tensor([1.0, 0.0]), "wide"])
def test_a_scale_that_is_not_positive_is_refused(scale: Any) -> None:
    with pytest.raises(ScaleError, match="Expected `scale` to be positive and finite"):
        random_walk(START, select("x", "scale"), scale=scale)
    with pytest.raises(ScaleError, match="Expected `width` to be positive and finite"):
        slice_sampling(START, select("x", "scale"), width=scale)


@pytest.mark.parametrize(
    "kernel", [partial(random_walk, scale=1.0), slice_sampling], ids=["random walk", "slice"]
)
def test_what_is_no_point_on_the_real_line_is_refused(kernel: Any) -> None:
    with pytest.raises(NoPositionError, match="'k', from categorical"):
        kernel(START, select("x", "k"))
    with pytest.raises(NoPositionError, match=r"model has no choice that .* selects"):
        kernel(START, select())
    with pytest.raises(UnknownSelectionError, match="no choice at 'z'"):
        kernel(START, select("z"))


@pytest.mark.parametrize(
    "kernel",
    [
        partial(random_walk, selection=select("x"), scale=10.0),
        partial(slice_sampling, selection=select("x"), width=10.0),
        partial(elliptical_slice, address="x"),
        partial(gibbs, selection=select("flag")),
    ],
    ids=["random walk", "slice", "elliptical slice", "gibbs"],
)
def test_values_that_change_structure_are_refused(kernel: Any) -> None:
    torch.manual_seed(0)

    def often() -> None:
        for _ in range(50):
            kernel(BRANCHING)

    with pytest.raises(StructureChangedError, match="'more' appeared or vanished"):
        often()


def test_a_slice_sampler_that_finds_nothing_stays_and_says_so() -> None:
    @gen
    def spike() -> None:
        normal(0.0, 1e-6) @ "x"

    trace = spike.generate({"x": 0.0}).trace
    torch.manual_seed(0)

    new, info = slice_sampling(trace, select("x"), width=1e3, max_shrinks=1)

    assert new is trace
    assert not info.accepted
    assert int(info.num_evaluations) <= 3


def test_a_slice_sampler_reports_an_impossible_start_and_a_nan() -> None:
    @gen
    def broken() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(0.0, torch.where(x < 1, 1.0, math.nan)) @ "y"

    impossible = model.generate({"x": 0.0, "scale": 1.0, "k": 0, "y": math.inf}).trace
    with pytest.raises(ImpossibleStartError, match="is -inf"):
        slice_sampling(impossible, select("x"))
    with pytest.raises(ImpossibleStartError, match="is -inf"):
        elliptical_slice(impossible, "x")

    def batched() -> Any:
        return batch(
            lambda: slice_sampling(broken.generate({"x": 0.9, "y": 0.0}).trace, select("x")), size=50
        )()

    torch.manual_seed(0)
    _, info = batched()
    assert info.is_nan.any()


def test_counts_of_slice_samplers_are_checked() -> None:
    with pytest.raises(CountError, match="`max_shrinks` to be an integer of at least 1"):
        slice_sampling(START, select("x"), max_shrinks=0)
    with pytest.raises(CountError, match="`max_steps_out` to be an integer of at least 0"):
        slice_sampling(START, select("x"), max_steps_out=-1)
    with pytest.raises(CountError, match="`max_shrinks` to be an integer of at least 1"):
        elliptical_slice(START, "x", max_shrinks=0)


# Elliptical slice.


def test_an_elliptical_slice_uses_the_likelihood_and_not_the_prior() -> None:
    @gen
    def far_prior() -> None:
        normal(5.0, 0.5) @ "x"

    trace = far_prior.generate({"x": 5.0}).trace
    torch.manual_seed(0)

    # Without a likelihood every first angle is taken.
    for _ in range(30):
        trace, info = elliptical_slice(trace, "x")
        assert int(info.num_evaluations) == 1
        assert info.accepted


def test_an_elliptical_slice_needs_a_normal_prior() -> None:
    with pytest.raises(PriorError, match="'scale' is from gamma"):
        elliptical_slice(START, "scale")
    with pytest.raises(NoChoiceError, match="No choice at 'z'"):
        elliptical_slice(START, "z")


def test_an_elliptical_slice_moves_vectors_of_any_dtype() -> None:
    @gen
    def vector() -> None:
        multivariate_normal(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)) @ "x"

    trace, _ = elliptical_slice(vector.simulate(), "x")

    assert trace["x"].dtype == torch.float64
    assert trace["x"].shape == (3,)


# Gibbs.


def test_gibbs_of_an_observed_support_has_the_exact_conditional() -> None:
    torch.manual_seed(0)
    scores = torch.stack([START.update({"k": k}).trace.score for k in range(3)])
    exact = scores.softmax(0)

    draws = [int(gibbs(START, select("k"))[0]["k"]) for _ in range(400)]

    frequencies = torch.bincount(torch.tensor(draws), minlength=3) / 400
    # Four standard errors of a frequency.
    assert ((frequencies - exact).abs() < 4 * (exact * (1 - exact) / 400).sqrt()).all()


def test_gibbs_enumerates_many_values_in_a_batch() -> None:
    @gen
    def wide() -> None:
        k = uniform_discrete(0, 99) @ "k"
        normal(k.float(), 0.01) @ "y"

    trace, info = gibbs(wide.generate({"k": 3, "y": 77.0}).trace, select("k"))

    assert int(trace["k"]) == 77
    assert info.num_values == 100
    assert bool(info.moved)
    assert bool(info.accepted)
    assert float(info.log_conditional) == pytest.approx(0.0, abs=1e-6)


def test_gibbs_enumerates_one_by_one_what_cannot_be_batched() -> None:
    @gen
    def branches() -> None:
        k = uniform_discrete(0, 9) @ "k"
        normal(float(k) if k > 4 else -1.0, 0.01) @ "y"

    trace, _ = gibbs(branches.generate({"k": 3, "y": 7.0}).trace, select("k"))

    assert int(trace["k"]) == 7


def test_gibbs_refuses_what_it_cannot_enumerate() -> None:
    @gen
    def chained() -> None:
        n = uniform_discrete(1, 3) @ "n"
        uniform_discrete(0, int(n)) @ "m"

    @gen
    def many() -> None:
        for i in range(13):
            bernoulli(0.5) @ ("flags", i)

    with pytest.raises(EnumerationError, match="'x' of model, from normal, has no finite support"):
        gibbs(START, select("x"))
    with pytest.raises(EnumerationError, match=r"model has no choice that select\(\('x', ANY\)\) selects"):
        gibbs(START, select(("x", ANY)))
    with pytest.raises(UnknownSelectionError, match="model has no choice at 'nope'"):
        gibbs(START, select("nope"))
    with pytest.raises(EnumerationError, match=r"8192 combinations .*, more than 4096"):
        gibbs(many.simulate(), select("flags"))
    torch.manual_seed(0)
    trace = chained.generate({"n": 2, "m": 0}).trace
    with pytest.raises(EnumerationError, match="depend on each other"):
        [gibbs(trace, select("n", "m")) for _ in range(20)]


# Involutions.


@gen
def nudge(trace: Trace[Any]) -> None:
    normal(0.0, 0.5) @ "by"


def scaled(ours: ChoiceMap, theirs: ChoiceMap) -> Any:
    return {"scale": ours["scale"] * theirs["by"].exp()}, {"by": -theirs["by"]}


def test_the_jacobian_of_a_map_of_values_is_found_by_autograd() -> None:
    choices = nudge.generate({"by": 0.4}, START).trace.choices
    involution = involution_of(scaled, select("scale"))
    given = involution_of(scaled, select("scale"), log_abs_det=lambda ours, theirs: theirs["by"])

    new, given_back, weight = involution(START, choices, None)
    back = choicemap(given_back)

    assert float(new["scale"]) == pytest.approx(1.2 * math.exp(0.4))
    assert float(back["by"]) == pytest.approx(-0.4)
    assert float(weight) == pytest.approx(float(new.score - START.score) + 0.4, abs=1e-5)
    assert float(given(START, choices, None)[2]) == pytest.approx(float(weight), abs=1e-5)


def test_a_map_that_is_not_its_own_inverse_is_found() -> None:
    def forgets(ours: ChoiceMap, theirs: ChoiceMap) -> Any:
        return {"scale": ours["scale"] * theirs["by"].exp()}, {"by": theirs["by"]}

    with pytest.raises(InvolutionError, match=r"does not lead back to the trace: at .*scale"):
        involutive_metropolis_hastings(START, nudge, involution_of(forgets, select("scale")), check=True)


def test_a_wrong_jacobian_is_found() -> None:
    wrong = involution_of(scaled, select("scale"), log_abs_det=lambda ours, theirs: theirs["by"] ** 2 + 1)

    with pytest.raises(InvolutionError, match=r"which must be the negative. Its Jacobian may be wrong"):
        involutive_metropolis_hastings(START, nudge, wrong, check=True)


def test_a_map_between_different_dimensions_is_refused() -> None:
    def loses(ours: ChoiceMap, theirs: ChoiceMap) -> Any:
        return {"scale": ours["scale"] * theirs["by"].exp()}, {}

    with pytest.raises(InvolutionError, match="loses maps 2 real numbers to 1"):
        involutive_metropolis_hastings(START, nudge, involution_of(loses, select("scale")))


# Control.


def shift_k(trace: Trace[Any]) -> Any:
    return trace.update({"k": (trace["k"] + 1) % 3}).trace, None


def spoil(trace: Trace[Any]) -> Any:
    return trace.update({"y": trace["y"] + 1}).trace, None


def nothing(trace: Trace[Any]) -> Any:
    return trace, None


def test_when_applies_a_kernel_only_where_the_condition_holds() -> None:
    assert int(when(lambda trace: trace["k"] == 1, shift_k)(START)[0]["k"]) == 2
    assert when(lambda trace: trace["k"] == 0, shift_k)(START)[0] is START


def test_for_each_applies_the_kernel_of_each_value_in_order() -> None:
    seen: list[int] = []

    def at(i: int) -> Any:
        def note(trace: Trace[Any]) -> Any:
            seen.append(i)
            return trace, None

        return note

    for_each(range(3), at)(START)
    reversed_kernel(for_each(range(3), lambda i: declare_reversal(at(i))))(START)

    assert seen == [0, 1, 2, 2, 1, 0]


@pytest.mark.parametrize(
    ("kernel", "what"),
    [
        (when(lambda trace: trace["k"] == 1, shift_k, check=True), "the condition of when"),
        (for_each(lambda trace: range(int(trace["k"])), lambda i: shift_k, check=True), "values of for_each"),
        (
            for_random(lambda trace: uniform_discrete(0, int(trace["k"])), lambda i: shift_k, check=True),
            "the distribution of for_random",
        ),
    ],
    ids=["when", "for each", "for random"],
)
def test_a_kernel_that_changes_what_controls_it_is_found(kernel: Any, what: str) -> None:
    with pytest.raises(ControlChangedError, match=f"shift_k changed .*{what}"):
        kernel(START)


@pytest.mark.parametrize(
    "compose",
    [
        lambda kernel: kernel,
        lambda kernel: cycle(nothing, kernel),
        lambda kernel: repeat(kernel, 2),
        lambda kernel: mixture([(1.0, kernel)]),
        lambda kernel: when(lambda trace: True, kernel),
        lambda kernel: for_each([1], lambda i: kernel),
        lambda kernel: for_random(uniform_discrete(0, 1), lambda i: kernel),
    ],
    ids=["alone", "cycle", "repeat", "mixture", "when", "for each", "for random"],
)
def test_a_kernel_that_changes_an_observation_is_found_by_name(compose: Any) -> None:
    fine, wrong = checked(compose(nothing), {"y": 2.0}), checked(compose(spoil), {"y": 2.0})

    assert fine(START)[0] is START
    with pytest.raises(ObservationChangedError, match="spoil changed the observation at 'y'"):
        wrong(START)


def test_checking_checks_what_controls_a_kernel_too() -> None:
    with pytest.raises(ControlChangedError, match="shift_k changed the condition"):
        checked(when(lambda trace: trace["k"] == 1, shift_k), {"y": 2.0})(START)


def test_checked_chains_run_one_after_another() -> None:
    kernel = checked(partial(random_walk, selection=select("x"), scale=1.0), {"y": 2.0})
    torch.manual_seed(0)

    chains = mcmc(model(), {"y": 2.0}, kernel, num_samples=3, num_chains=2)

    assert chains.why_looped is not None
    assert "cannot be read in a batch" in chains.why_looped
    with pytest.raises(UncheckableError, match="Run the chains one after another"):
        mcmc(model(), {"y": 2.0}, kernel, num_samples=3, num_chains=2, batched=True)


def test_an_adaptive_kernel_can_be_checked_and_composed_but_not_where_it_would_be_made_anew() -> None:
    kernel: Any = checked(cycle(Adaptive(), mixture([(1.0, Adaptive())])), {"y": 2.0})

    chains = mcmc(model(), {"y": 2.0}, kernel, num_samples=2)

    assert chains.num_draws == 2
    with pytest.raises(NotPlainError, match="Adaptive adapts, and a condition"):
        when(lambda trace: True, Adaptive())  # type: ignore[arg-type]
    with pytest.raises(NotPlainError, match="Adaptive adapts, and a loop makes it anew"):
        for_each([1], lambda i: Adaptive())(START)  # type: ignore[arg-type, return-value]


def test_a_kernel_whose_reversal_nobody_knows_is_refused() -> None:
    with pytest.raises(IrreversibleKernelError, match="The reversal of shift_k is not known"):
        reversed_kernel(cycle(nothing_declared, shift_k))


@declare_reversal
def nothing_declared(trace: Trace[Any]) -> Any:
    return trace, None


def test_a_kernel_and_its_reversal_are_declared_together() -> None:
    def back_k(trace: Trace[Any]) -> Any:
        return trace.update({"k": (trace["k"] - 1) % 3}).trace, None

    def forth_k(trace: Trace[Any]) -> Any:
        return shift_k(trace)

    declare_reversal(forth_k, back_k)
    forth = cycle(forth_k, partial(metropolis_hastings, proposal=select()))

    assert reversed_kernel(forth_k) is back_k
    assert reversed_kernel(back_k) is forth_k
    assert int(reversed_kernel(forth)(forth(START)[0])[0]["k"]) == 1
