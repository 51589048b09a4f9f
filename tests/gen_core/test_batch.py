"""Batches: many runs at once of what is written for one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import (
    ALL,
    BatchSizeError,
    BatchStructureError,
    Choices,
    GenWarning,
    NotBatchableError,
    TraceBatch,
    batch,
    choose,
    select,
    stack,
    vmap,
)
from gen_core.readable import stack_rows
from gen_distributions import bernoulli, gamma, normal, poisson
from gen_dml import gen, param

XS = torch.linspace(-1.0, 1.0, 5)
YS = torch.tensor([0.3, -0.2, 0.5, 0.1, 0.9])
OBSERVED = {"y": YS}


@gen
def scale() -> Tensor:
    return gamma(2.0, 2.0) @ "value"


@gen
def line(xs: Tensor) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    steep = bernoulli(0.3) @ "steep"
    noise = scale() @ "noise"
    return normal(torch.where(steep, 3.0, 1.0) * slope * xs, noise + 0.1) @ "y"


def posterior(n: int = 8) -> TraceBatch[Tensor]:
    torch.manual_seed(0)
    traces: TraceBatch[Tensor] = batch(lambda: line.generate(OBSERVED, XS), size=n)().trace
    return traces


def test_every_trace_of_a_batch_is_an_ordinary_trace_with_the_score_of_its_choices() -> None:
    traces = posterior()

    for i, trace in enumerate(traces):
        again = line.assess(trace.choices, *trace.args)
        torch.testing.assert_close(trace.score, again.score)
        torch.testing.assert_close(traces.score[i], again.score)
        torch.testing.assert_close(trace.update({"slope": 0.1}).trace["slope"], torch.tensor(0.1))


def test_weights_are_those_of_single_runs() -> None:
    torch.manual_seed(0)
    traces, weights = batch(lambda: line.generate(OBSERVED, XS), size=6)()

    assert weights.shape == (6,)
    for trace, weight in zip(traces, weights, strict=True):
        torch.testing.assert_close(weight, trace.project(select("y")))


@pytest.mark.parametrize("size", [8, 5000])
def test_scores_in_a_batch_are_those_of_single_runs_however_large_it_is(size: int) -> None:
    @gen
    def model() -> Tensor:
        loc = normal(0.0, 2.0) @ "loc"
        scale = gamma(2.0, 2.0) @ "scale"
        also = normal(loc, scale) @ "also"
        return normal(torch.stack([loc, also]), 0.5) @ "pair"

    traces, weights = batch(lambda: model.generate({"also": 0.3}), size=size)()

    for i in (0, 3, size - 1):
        again = model.assess(traces[i].choices)
        torch.testing.assert_close(traces.score[i], again.score)
        torch.testing.assert_close(weights[i], traces[i].subtrace("also").score.double())
        for name in ("loc", "scale", "also", "pair"):
            expected = traces[i].subtrace(name)
            torch.testing.assert_close(
                expected.score, expected.gen_fn.assess(expected.choices, *expected.args).score.float()
            )


@pytest.mark.parametrize("last", [torch.float32, torch.float64])
def test_many_choices_of_a_large_batch_score_as_in_single_runs(last: torch.dtype) -> None:
    @gen
    def model(loc: Tensor) -> Tensor:
        for i in range(3):
            normal(loc, 1.0) @ ("x", i)
        return normal(loc.to(last).expand(2), 0.5) @ "pair"

    locs = torch.linspace(-1.0, 1.0, 5000)

    def score(loc: Tensor) -> Tensor:
        given: Choices = {
            ("x", 0): 0.1,
            ("x", 1): 0.2,
            ("x", 2): 0.3,
            "pair": torch.tensor([0.4, 0.5], dtype=last),
        }
        return model.assess(given, loc).score

    traces = batch(model.simulate)(locs)
    gradients = batch(torch.func.grad(score))(locs)

    assert traces.score.dtype is torch.float64
    for i in (0, 3, 4999):
        again = model.assess(traces[i].choices, locs[i])
        torch.testing.assert_close(traces.score[i], again.score)
        for path in [("x", 0), ("x", 2), ("pair",)]:
            one = traces[i].subtrace(path)
            torch.testing.assert_close(
                one.score, one.gen_fn.assess(one.choices, *one.args).score.to(one.score.dtype)
            )
        # Each log density has the slope (x - loc) / scale^2 in loc.
        slope = sum(x - locs[i] for x in (0.1, 0.2, 0.3)) + 4 * (0.9 - 2 * locs[i])
        torch.testing.assert_close(gradients[i], slope)


def test_rows_stack_as_torch_stacks_them() -> None:
    a, b, c = torch.randn(3, 4), torch.randn(3, 4), torch.randn(3)

    nested = torch.func.vmap(torch.func.vmap(lambda x, y: stack_rows([x, y])))(a, b)
    mixed = torch.func.vmap(torch.func.vmap(lambda x, y: stack_rows([x, y]), (0, None)))(a, c)
    inner = torch.func.vmap(torch.func.grad(lambda x, y: (stack_rows([x, y]) ** 2).sum()))(a[0], b[0])
    outer = torch.func.grad(lambda x: (torch.func.vmap(lambda y: stack_rows([y, y]))(x) ** 2).sum())(c)

    assert torch.equal(nested, torch.stack([a, b], -1))
    assert torch.equal(mixed, torch.stack([a, c[:, None].expand(3, 4)], -1))
    torch.testing.assert_close(inner, 2 * a[0])
    torch.testing.assert_close(outer, 4 * c)


def test_the_runs_draw_independently() -> None:
    traces = batch(lambda: line.simulate(XS), size=2000)()

    slopes = traces.choices["slope"]
    # 2000 draws: the standard errors of mean and variance are 0.022 and 0.032.
    assert abs(float(slopes.mean())) < 5 * 0.022
    assert abs(float(slopes.var()) - 1.0) < 5 * 0.032


def test_what_all_runs_share_is_one_copy() -> None:
    traces = posterior(10_000)

    assert traces[3].args[0] is XS
    assert traces[4]["y"] is traces[5]["y"]
    stored = sum(column.numel() for column in traces.columns)
    # A slope, a flag, a scale, their derived arguments and scores; but no copy of the observations,
    # of which a single one would be 5 numbers a trace for each of the data and the means.
    assert stored < 10_000 * 16


def test_a_batch_over_arguments_and_constraints() -> None:
    xs = torch.randn(3, 5)
    ys = torch.randn(3, 5)

    traces, weights = batch(lambda x, y: line.generate({"y": y, "slope": 0.0}, x))(xs, ys)

    for i in range(3):
        assert torch.equal(traces[i].args[0], xs[i])
        assert torch.equal(traces[i]["y"], ys[i])
        torch.testing.assert_close(weights[i], traces[i].project(select("y", "slope")))


def test_in_dims_choose_the_dimension_and_what_is_shared() -> None:
    xs = torch.randn(5, 3)

    traces = batch(lambda slope, x: line.generate({"slope": slope}, x), in_dims=(None, 1))(
        torch.tensor(2.0), xs
    ).trace

    assert len(traces) == 3
    assert torch.equal(traces[2].args[0], xs[:, 2])
    assert traces[2]["slope"] == 2.0


def test_edits_of_a_batch_have_the_weights_of_single_edits() -> None:
    traces = posterior()
    slopes = torch.linspace(-2.0, 2.0, 8)

    updated = batch(lambda trace, slope: trace.update({"slope": slope}))(traces, slopes)

    for i, trace in enumerate(traces):
        single = trace.update({"slope": slopes[i]})
        torch.testing.assert_close(updated.weight[i], single.weight)
        torch.testing.assert_close(updated.trace[i].score, single.trace.score)
        assert updated.discard["slope"][i] == single.discard["slope"]


def test_regenerate_in_a_batch_is_a_metropolis_hastings_step_for_each() -> None:
    traces = posterior()

    moved = batch(lambda trace: trace.regenerate(select("slope")))(traces)
    accepted = torch.tensor([True, False] * 4)
    chosen = choose(accepted, moved.trace, traces)

    for i in range(8):
        expected = moved.trace[i] if accepted[i] else traces[i]
        assert chosen[i].choices == expected.choices
        torch.testing.assert_close(chosen[i].score, expected.score)
    assert chosen[0].args[0] is XS


def test_gathers_compose_and_masks_select() -> None:
    traces = posterior()

    gathered = traces.gather(torch.tensor([7, 0, 3])).gather(torch.tensor([2, 2, 0, 1]))

    assert [gathered[i].choices for i in range(4)] == [traces[i].choices for i in (3, 3, 7, 0)]
    assert torch.equal(gathered.score, traces.score[[3, 3, 7, 0]])
    assert len(traces[traces.score > traces.score.median()]) == 4
    assert len(traces[2:5]) == 3
    assert traces[2:5][0].choices == traces[2].choices
    assert traces[-1].choices == traces[7].choices
    with pytest.raises(IndexError, match="no trace 8 in a batch of 8"):
        traces[8]


def test_stacking_ordinary_traces_makes_a_batch() -> None:
    singles = [line.simulate(XS) for _ in range(4)]

    stacked = stack(singles)

    assert [trace.choices for trace in stacked] == [trace.choices for trace in singles]
    assert stacked[2].args[0] is XS


def test_traces_of_different_structure_do_not_stack() -> None:
    @gen
    def model(n: int) -> None:
        for i in range(n):
            normal(0.0, 1.0) @ ("x", i)

    with pytest.raises(BatchStructureError, match="trace 1 has other choices"):
        stack([model.simulate(2), model.simulate(3)])
    with pytest.raises(BatchStructureError, match="no traces"):
        stack([])


def test_batches_nest() -> None:
    outer = batch(lambda xs: batch(lambda: line.simulate(xs), size=3)())(torch.randn(2, 5))

    assert len(outer) == 2
    assert len(outer[1]) == 3
    trace = outer[1][2]
    torch.testing.assert_close(trace.score, line.assess(trace.choices, *trace.args).score)


def test_chunks_give_one_batch() -> None:
    traces = batch(lambda: line.generate(OBSERVED, XS), size=10, chunk_size=4)().trace

    assert len(traces) == 10
    assert len(set(traces.choices["slope"].tolist())) == 10


def test_gradients_batch() -> None:
    traces = posterior()

    gradients = batch(lambda trace: trace.choice_gradients(select("slope")))(traces)

    for i, trace in enumerate(traces):
        single = trace.choice_gradients(select("slope")).gradients["slope"]
        torch.testing.assert_close(gradients.gradients["slope"][i], single)


def test_parameters_made_in_a_batch_are_ordinary_parameters() -> None:
    @gen
    def model() -> Tensor:
        return normal(param("loc", lambda: torch.ones(())), 1.0) @ "x"

    weights = batch(lambda: model.generate({"x": 2.0}), size=3)().weight
    weights.sum().backward()

    assert model.params["loc"].shape == ()
    assert model.params["loc"].grad == pytest.approx(3.0)


def test_a_model_that_branches_on_a_random_value_says_where() -> None:
    @gen
    def branching() -> Tensor:
        if bernoulli(0.5) @ "z":
            return normal(0.0, 1.0) @ "x"
        return normal(0.0, 2.0) @ "y"

    @gen
    def counting() -> None:
        for i in range(poisson(3.0) @ "n"):
            normal(0.0, 1.0) @ ("x", i)

    with pytest.raises(
        NotBatchableError, match=r"branching \(.*test_batch.py:\d+\) cannot be batched: a branch"
    ):
        batch(branching.simulate, size=3)()
    with pytest.raises(NotBatchableError, match=r"counting .*: a Python number, an index or a length"):
        batch(counting.simulate, size=3)()


def test_the_loop_fallback_says_why_and_gives_the_same_law() -> None:
    @gen
    def model() -> Tensor:
        z = bernoulli(0.5) @ "z"
        return normal(1.0 if z else -1.0, 0.1) @ "x"

    with pytest.warns(GenWarning, match="It runs in a loop instead"):
        traces = batch(model.simulate, size=5, fallback="loop")()

    assert isinstance(traces, TraceBatch)
    assert torch.equal(traces.choices["x"] > 0, traces.choices["z"])


def test_a_batch_needs_one_size() -> None:
    with pytest.raises(BatchSizeError, match="no argument says it: give `size`"):
        batch(lambda: line.simulate(XS))()
    with pytest.raises(BatchSizeError, match=r"say \[2, 3\]"):
        batch(lambda a, b: a + b)(torch.zeros(2), torch.zeros(3))
    with pytest.raises(BatchSizeError, match="pass None in in_dims"):
        batch(lambda a: a)(torch.tensor(1.0))


def test_an_error_of_the_model_is_not_mistaken_for_one_of_batching() -> None:
    @gen
    def broken() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        batch(broken.simulate, size=2)()


def test_bad_parameters_in_a_batch_give_nan() -> None:
    weights = batch(lambda s: normal.generate({(): 0.0}, 0.0, s))(torch.tensor([1.0, -1.0])).weight

    assert math.isfinite(weights[0])
    assert math.isnan(weights[1])


# vmap: a batch as a callee.


@gen
def point(x: Tensor, slope: Tensor) -> Tensor:
    outlier = bernoulli(0.1) @ "outlier"
    return normal(slope * x, torch.where(outlier, 10.0, 0.5)) @ "y"


points = vmap(point, in_dims=(0, None))


@gen
def regression(xs: Tensor) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    return points(xs, slope) @ "points"


@gen
def looped(xs: Tensor) -> None:
    slope = normal(0.0, 1.0) @ "slope"
    for i, x in enumerate(xs):
        point(x, slope) @ ("points", i)


def as_loop(choices: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {"slope": choices["slope"]}
    for i in range(len(XS)):
        for name in ("outlier", "y"):
            found["points", i, name] = choices["points", name][i]
    return found


def test_a_vmapped_callee_scores_as_a_loop_does() -> None:
    trace, weight = regression.generate({("points", "y"): YS}, XS)

    again = looped.assess(as_loop(trace.choices), XS)

    torch.testing.assert_close(trace.score, again.score)
    torch.testing.assert_close(weight, trace.project(select(("points", "y"))))
    assert torch.equal(trace["points"], YS)
    assert trace["points", "outlier"].shape == (5,)


def test_edits_of_a_vmapped_callee_weigh_as_a_loops_do() -> None:
    trace, _ = regression.generate({("points", "y"): YS}, XS)
    single, _ = looped.generate(as_loop(trace.choices), XS)

    updated = trace.update({"slope": 0.25})
    torch.testing.assert_close(updated.weight, single.update({"slope": 0.25}).weight)

    moved = trace.regenerate(select(("points", "outlier")))
    rest = ~select(("points", "outlier"))
    torch.testing.assert_close(moved.weight, moved.trace.project(rest) - trace.project(rest))
    torch.testing.assert_close(moved.trace.score, regression.assess(moved.trace.choices, XS).score)
    assert set(moved.discard.keys()) == {("points", "outlier")}


def test_gradients_reach_through_a_vmapped_callee() -> None:
    trace, _ = regression.generate(
        {("points", "y"): YS, ("points", "outlier"): torch.zeros(5, dtype=torch.bool)}, XS
    )

    gradient = trace.choice_gradients(select("slope")).gradients["slope"]

    slope = float(trace["slope"])
    expected = -slope + float(((YS - slope * XS) * XS).sum()) / 0.25
    assert float(gradient) == pytest.approx(expected, rel=1e-4)


def test_vmaps_are_equal_if_made_of_equal_parts() -> None:
    assert vmap(point, in_dims=[0, None]) == points
    assert vmap(point) != points


def test_constraints_of_a_vmapped_callee_speak_of_all_runs() -> None:
    with pytest.raises(BatchSizeError, match=r"say \[4, 5\]"):
        regression.generate({("points", "y"): torch.zeros(4)}, XS)


def test_a_batch_of_models_with_a_vmapped_callee() -> None:
    traces = batch(lambda: regression.generate({("points", "y"): YS}, XS), size=3)().trace

    assert traces.choices["points", "outlier"].shape == (3, 5)
    torch.testing.assert_close(traces.score[1], regression.assess(traces[1].choices, XS).score)


def test_selections_project_in_a_batch() -> None:
    traces = posterior()

    projections = batch(lambda trace: trace.project(ALL))(traces)

    torch.testing.assert_close(projections, traces.score)


def test_a_batch_of_traces_that_share_everything_keeps_its_size() -> None:
    given: dict[str, Any] = {"y": YS, "slope": 0.0, "steep": False, "noise": {"value": 1.0}}
    traces = batch(lambda: line.generate(given, XS), size=3)().trace

    assert all(traces.is_shared)
    assert batch(lambda trace: trace.project(ALL))(traces).shape == (3,)


def test_one_tensor_may_be_batched_in_one_place_and_shared_in_another() -> None:
    xs = torch.tensor([1.0, 2.0, 4.0])
    square = torch.arange(9.0).reshape(3, 3)

    distances = batch(lambda x, others: (x - others).abs(), in_dims=(0, None))(xs, xs)
    reversed_order = batch(lambda others, x: (x - others).abs(), in_dims=(None, 0))(xs, xs)
    across = batch(lambda row, column: row @ column, in_dims=(0, 1))(square, square)

    assert torch.equal(distances, (xs[:, None] - xs).abs())
    assert torch.equal(reversed_order, distances)
    assert torch.equal(across, (square @ square).diagonal())


def test_what_traces_share_may_be_batched_beside_them() -> None:
    traces = posterior(5)

    both = batch(lambda trace, x: (trace.args[0], x))(traces, XS)
    slopes = traces.choices["slope"]
    beside = batch(lambda trace, all_slopes: trace["slope"] - all_slopes, in_dims=(0, None))(traces, slopes)

    assert both[0].shape == (5, 5)
    assert torch.equal(both[1], XS)
    assert torch.equal(beside, slopes[:, None] - slopes)
