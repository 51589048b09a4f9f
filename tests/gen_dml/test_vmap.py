"""Operations of dynamic functions under `torch.func.vmap`: one trace with a leading dimension."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.utils import _pytree

from gen_core import Distribution, GenerativeFunction, Trace, choicemap, select
from gen_distributions import bernoulli, gamma, normal
from gen_dml import gen, inline, param

N = 5


@gen
def noise(scale: Tensor) -> Tensor:
    a = gamma(2.0, 1.0) @ "a"
    return scale * a


@gen
def offset() -> Tensor:
    return normal(0.0, 1.0) @ "offset"


@gen
def line(xs: Tensor) -> dict[str, Any]:
    slope = normal(0.0, 1.0) @ "slope"
    shift = offset() @ inline
    scale = noise(torch.tensor(0.5)) @ "noise"
    flip = bernoulli(0.3) @ "flip"
    for i in range(3):
        normal(torch.where(flip, -slope, slope) * xs[i] + shift, scale) @ ("y", i)
    normal(torch.zeros(2), 1.0) @ "pair"
    return {"slope": slope, "number": 3}


@gen
def parametric(x: Tensor) -> Tensor:
    return normal(param("mean", 0.5) * x, 1.0) @ "y"


@pytest.fixture
def xs() -> Tensor:
    return torch.randn(N, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def traces(xs: Tensor) -> Any:
    torch.manual_seed(0)
    return vmap(line.simulate, randomness="different")(xs)


def one(batch: Any, i: int) -> Any:
    return _pytree.tree_map(lambda leaf: leaf[i], batch)


def test_simulate_gives_a_trace_whose_leaves_have_a_leading_dimension(traces: Trace[Any]) -> None:
    assert traces.score.shape == (N,)
    assert traces["slope"].shape == traces.subtrace("slope").score.shape == (N,)
    assert traces["noise"].shape == (N,)
    assert traces["pair"].shape == (N, 2)
    assert traces.retval["slope"].shape == (N,) and traces.retval["number"] == 3
    assert all(leaf.shape[0] == N for leaf in _pytree.tree_leaves(traces))
    assert len(traces["slope"].unique()) == N


def test_the_scores_of_a_batch_are_those_of_its_traces_one_by_one(traces: Any, xs: Tensor) -> None:
    for i in range(N):
        trace = one(traces, i)
        score, retval = line.assess(trace.choices, xs[i])

        torch.testing.assert_close(trace.score, score)
        torch.testing.assert_close(traces.score[i], score)
        assert retval == trace.retval


def test_a_trace_of_a_batch_can_be_edited(traces: Any, xs: Tensor) -> None:
    trace = one(traces, 2)

    updated = trace.update({"slope": 1.0}, line(xs[0]))

    torch.testing.assert_close(updated.trace.score, line.assess(updated.trace.choices, xs[0]).score)
    torch.testing.assert_close(updated.weight, updated.trace.score - trace.score)


def test_generate_batches_over_constraints_and_arguments(xs: Tensor) -> None:
    ys = torch.arange(N) / N

    def run(x: Tensor, y: Tensor) -> Any:
        return line.generate({("y", 0): y, "flip": True, "offset": 0.3}, x)

    traces, weights = vmap(run, randomness="different")(xs, ys)

    for i in range(N):
        trace = one(traces, i)
        assert trace["y", 0] == ys[i] and trace["flip"]
        torch.testing.assert_close(weights[i], trace.project(select(("y", 0), "flip", "offset")))
        torch.testing.assert_close(trace.score, line.assess(trace.choices, xs[i]).score)


def test_what_is_not_batched_takes_no_memory(xs: Tensor) -> None:
    traces = vmap(lambda _: line.simulate(xs[0]), randomness="different")(torch.zeros(N))

    assert traces.args[0].shape == (N, 3)
    assert traces.args[0].data_ptr() == xs[0].data_ptr()
    assert traces.args[0].stride() == (0, 1)


def test_update_and_regenerate_batch_over_traces(traces: Any) -> None:
    selection = select("slope", "noise", ("y", 1))

    updated = vmap(lambda trace: trace.update({"slope": 1.0}))(traces)
    moved = vmap(lambda trace: trace.regenerate(selection), randomness="different")(traces)

    for i in range(N):
        alone = one(traces, i).update({"slope": 1.0})
        torch.testing.assert_close(updated.weight[i], alone.weight)
        torch.testing.assert_close(one(updated.trace, i).score, alone.trace.score)
        assert one(updated.discard, i) == alone.discard
        after, before = one(moved.trace, i), one(traces, i)
        kept = after.project(~selection) - before.project(~selection)
        torch.testing.assert_close(moved.weight[i], kept)
    spec = _pytree.tree_structure(traces)
    assert _pytree.tree_structure(updated.trace) == spec == _pytree.tree_structure(moved.trace)


def test_assess_project_and_propose_batch(traces: Any, xs: Tensor) -> None:
    assessed = vmap(lambda trace, x: line.assess(trace.choices, x).score)(traces, xs)
    projected = vmap(lambda trace: trace.project(select("slope")))(traces)
    proposed = vmap(lambda x: line.propose(x).choices, randomness="different")(xs)

    torch.testing.assert_close(assessed, traces.score)
    torch.testing.assert_close(projected.float(), traces.subtrace("slope").score)
    assert len(proposed["slope"].unique()) == N


def test_gradients_batch(traces: Any) -> None:
    def gradients(trace: Trace[Any]) -> Any:
        found = trace.choice_gradients(select("slope", "noise"))
        return found.gradients, found.args.args[0]

    choices, arguments = vmap(gradients)(traces)

    for i in range(N):
        alone = one(traces, i).choice_gradients(select("slope", "noise"))
        torch.testing.assert_close(choices["slope"][i], alone.gradients["slope"])
        torch.testing.assert_close(choices["noise", "a"][i], alone.gradients["noise", "a"])
        torch.testing.assert_close(arguments[i], alone.args.args[0])


def test_torch_func_grad_goes_through_assess(traces: Any) -> None:
    def score(slope: Tensor, trace: Trace[Any]) -> Tensor:
        choices = trace.choices.override(choicemap({"slope": slope}))
        return line.assess(choices, trace.args[0]).score

    gradients = vmap(torch.func.grad(score))(traces["slope"], traces)

    for i in range(N):
        alone = one(traces, i).choice_gradients(select("slope"))
        torch.testing.assert_close(gradients[i], alone.gradients["slope"])


def test_batches_nest(xs: Tensor) -> None:
    twice = vmap(vmap(line.simulate, randomness="different"), randomness="different")

    traces = twice(torch.stack([xs, xs]))

    assert traces.score.shape == (2, N)
    assert traces.subtrace(("y", 0)).score.shape == (2, N)
    trace = one(one(traces, 1), 3)
    torch.testing.assert_close(trace.score, line.assess(trace.choices, xs[3]).score)


def test_parameters_are_shared_by_a_batch(xs: Tensor) -> None:
    traces: Any = vmap(parametric.simulate, randomness="different")(xs[:, 0])

    (-traces.score.sum()).backward()

    assert parametric.params["mean"].grad is not None


@pytest.mark.parametrize(("distribution", "args"), [(normal, (0.0, 1.0)), (gamma, (2.0, 1.0))])
def test_a_distribution_batches(distribution: Distribution[..., Tensor], args: tuple[float, ...]) -> None:
    traces: Any = vmap(lambda _: distribution.simulate(*args), randomness="different")(torch.zeros(N))

    assert len(traces.retval.unique()) == N
    for i in range(N):
        torch.testing.assert_close(traces.score[i], distribution.log_prob(traces.retval[i], *args))


def test_a_model_that_looks_at_a_batched_value_cannot_run() -> None:
    @gen
    def branching() -> None:
        if bernoulli(0.5) @ "flip":
            normal(0.0, 1.0) @ "x"

    model: GenerativeFunction[..., Any] = branching

    with pytest.raises(RuntimeError, match="data-dependent control flow") as caught:
        vmap(lambda _: model.simulate(), randomness="different")(torch.zeros(N))
    assert any("test_vmap.py" in note for note in caught.value.__notes__)
