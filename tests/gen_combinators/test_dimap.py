"""dimap, map_args and map_retval."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gen_combinators import ChangedArgumentsError, KernelError, dimap, map_args, map_retval
from gen_core import ALL, UNCHANGED, UNKNOWN, Call, choicemap, select
from gen_distributions import normal
from gen_dml import gen

RUNS: list[str] = []


@gen
def walk(x: Any, scale: Any) -> Tensor:
    RUNS.append("kernel")
    x = normal(x, scale) @ "first"
    return normal(x, scale) @ "second"


def halved(x: Any, scale: Any, unused: Any = None) -> tuple[Any, Any]:
    RUNS.append("pre")
    return 0.5 * x, scale


def scaled(y: Tensor, x: float, scale: Any, unused: Any = None) -> Tensor:
    RUNS.append("post")
    return y * x


BETWEEN = dimap(walk, pre=halved, post=scaled)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    torch.manual_seed(0)
    RUNS.clear()


def test_arguments_and_return_value_pass_through_the_functions() -> None:
    trace = BETWEEN.simulate(3.0, 0.5)

    score, retval = walk.assess(trace.choices, 1.5, 0.5)
    assert torch.equal(trace.score, score) and torch.equal(trace.retval, retval * 3.0)
    assert trace["second"] == trace.choices["second"]


@pytest.mark.unverified
def test_nothing_runs_where_nothing_changed() -> None:
    trace = BETWEEN.simulate(3.0, 0.5)
    RUNS.clear()

    same = trace.update({}, BETWEEN(3.0, 0.5))

    assert RUNS == [] and same.retdiff is UNCHANGED and same.trace.retval is trace.retval


@pytest.mark.unverified
def test_the_kernel_does_not_run_where_its_arguments_stay() -> None:
    trace = BETWEEN.simulate(3.0, 0.5, "old")
    RUNS.clear()

    updated = trace.update({}, BETWEEN(3.0, 0.5, "new"))

    assert RUNS == ["pre", "post"] and float(updated.weight) == 0.0


@pytest.mark.unverified
def test_post_does_not_run_where_the_kernel_returns_the_same() -> None:
    def double(x: Tensor) -> Tensor:
        RUNS.append("post")
        return 2.0 * x

    @gen
    def kernel(x: float) -> Tensor:
        fixed = normal(0.0, 1.0) @ "fixed"
        normal(x, 1.0) @ "seen"
        return fixed

    doubled = map_retval(kernel, double)
    trace = doubled.simulate(0.5)
    RUNS.clear()

    updated = trace.update({}, doubled(0.7))

    assert RUNS == [] and updated.retdiff is UNCHANGED and updated.trace.retval is trace.retval


@pytest.mark.unverified
def test_everything_runs_where_nothing_is_known() -> None:
    trace = BETWEEN.simulate(3.0, 0.5)
    RUNS.clear()

    updated = trace.update({}, argdiffs=UNKNOWN)

    assert RUNS == ["pre", "kernel", "post"] and float(updated.weight) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.unverified
def test_a_hint_reaches_the_kernel_with_the_argument_that_is_passed_on() -> None:
    rows: list[Any] = [1.0, 2.0]
    seen = []

    @gen
    def kernel(xs: list[float], scale: float) -> Tensor:
        seen.append(xs)
        return normal(xs[0], scale) @ "x"

    swapped = map_args(kernel, lambda scale, xs, unused: (xs, scale))
    trace = swapped.simulate(1.0, rows, "a")
    seen.clear()

    trace.update({}, swapped(1.0, rows, "b"), argdiffs={"xs": UNCHANGED})
    assert seen == []
    trace.update({}, swapped(1.0, rows, "b"))
    assert seen == [rows]


def test_gradients_flow_through_both_functions_and_their_modules() -> None:
    net = nn.Linear(1, 1)
    x = torch.tensor([0.5])
    around = dimap(normal, pre=lambda x: (net(x), torch.ones(1)), post=lambda y, x: (y * net(x)).sum())
    trace = around.generate({(): torch.ones(1)}, x).trace

    found = trace.accumulate_param_gradients(retgrad=torch.tensor(2.0))
    mean = net(x).detach()

    # Score: -(1 - m)^2 / 2, return value: m, with m = w x + b.
    slope = (1.0 - mean) + 2.0
    assert net.bias.grad is not None and torch.allclose(net.bias.grad, slope)
    assert torch.allclose(found.args[0], slope * net.weight.detach()[0])
    assert {name.rpartition(".")[2] for name, _ in around.get_torch_nn_module().named_parameters()} == {
        "weight",
        "bias",
    }


def test_the_choice_of_a_distribution_keeps_its_address_and_value() -> None:
    @gen
    def model() -> Tensor:
        return map_retval(normal, torch.exp)(0.0, 1.0) @ "x"

    trace = model.generate({"x": 0.5}).trace

    assert trace.choices == choicemap({"x": torch.tensor(0.5)})
    assert trace["x"] == trace.retval == torch.tensor(0.5).exp()


@pytest.mark.unverified
def test_functions_made_within_a_model_are_the_same_at_every_run() -> None:
    @gen
    def model(x: float, power: float) -> Tensor:
        y = map_retval(walk, lambda value: value**power)(x, 1.0) @ "walk"
        return normal(y, 1.0) @ "end"

    trace = model.simulate(0.5, 2.0)
    RUNS.clear()

    kept = trace.update({"end": 0.3})
    other = trace.update({}, model(0.5, 3.0))

    assert RUNS == ["kernel"] and kept.discard == trace.choices.filter(select("end"))
    assert other.trace["walk", "second"] == trace["walk", "second"]


def test_arguments_that_are_no_tuple_are_refused() -> None:
    with pytest.raises(ChangedArgumentsError, match=r"For one argument: `return \(x,\)`"):
        map_args(normal, lambda x: x).simulate(0.5)


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(KernelError, match="Expected the kernel of map_retval to be a generative function"):
        map_retval(torch.exp, torch.exp)  # type: ignore[arg-type]


def test_equal_parts_make_equal_functions() -> None:
    assert dimap(walk, pre=halved, post=scaled) == BETWEEN != map_args(walk, halved)
    assert hash(dimap(walk, pre=halved, post=scaled)) == hash(BETWEEN)
    assert BETWEEN.reference == f"{__name__}:BETWEEN"
    assert repr(BETWEEN).startswith("<generative function dimap(walk)(x: 'Any', scale: 'Any', unused:")


def test_regenerating_keeps_the_functions() -> None:
    trace = BETWEEN.simulate(3.0, 0.5)

    moved = trace.regenerate(ALL, Call(BETWEEN, (2.0, 0.5, None)))

    assert float(moved.weight) == 0.0
    assert torch.equal(moved.trace.retval, moved.trace["second"] * 2.0)
