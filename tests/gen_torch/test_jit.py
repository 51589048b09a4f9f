"""Staged and compiled functions return what they return without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gen_core import ChoiceMap, GradientError, TraceBatch, batch, choose, select
from gen_distributions import bernoulli, gamma, normal, poisson, uniform
from gen_dml import gen, param
from gen_torch import StagingError, jit
from gen_torch.backends import Backend

XS = torch.linspace(-1.0, 1.0, 5)
YS = torch.tensor([0.3, -0.2, 0.5, 0.1, 0.9])
BACKENDS: list[Backend] = ["graph", "inductor"]


same_numbers = pytest.mark.skipif(
    torch.__version__ < "2.13", reason="older compilers reorder draws, and older loops draw once more"
)


@gen
def noise() -> Tensor:
    return gamma(2.0, 2.0) @ "value"


@gen
def line(xs: Tensor) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    steep = bernoulli(0.3) @ "steep"
    scale = noise() @ "noise"
    return normal(torch.where(steep, 3.0, 1.0) * slope * xs, scale + 0.1) @ "y"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def same(value: object, expected: object) -> None:
    """Compare pytrees: tensors closely, everything else exactly."""
    from gen_core.structure import take_apart

    got, structure = take_apart(value, once=False)
    wanted, other = take_apart(expected, once=False)
    assert structure == other
    for one, two in zip(got, wanted, strict=True):
        torch.testing.assert_close(one.detach(), two.detach(), rtol=1e-4, atol=1e-5)


def seeded(function: Callable[[], Any]) -> Any:
    torch.manual_seed(7)
    return function()


@same_numbers
@pytest.mark.parametrize("backend", BACKENDS)
def test_with_the_same_seed_every_operation_returns_what_it_returns_eagerly(backend: Backend) -> None:
    trace, _ = line.generate({"y": YS}, XS)

    def operations(old: Any, slope: Tensor) -> Any:
        return (
            line.simulate(XS),
            line.generate({"y": YS}, XS),
            line.assess(old.choices, XS),
            old.update({"slope": slope}),
            old.regenerate(select("slope", "noise")),
            old.project(select("y")),
            old.choice_gradients(select("slope")),
        )

    compiled = jit(operations, backend=backend)

    slope = torch.tensor(0.3)
    same(seeded(lambda: compiled(trace, slope)), seeded(lambda: operations(trace, slope)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_in_a_staged_function_is_a_batch(backend: Backend) -> None:
    def particles() -> Any:
        return batch(lambda: line.generate({"y": YS}, XS), size=50)()

    traces, weights = seeded(jit(particles, backend=backend))

    assert isinstance(traces, TraceBatch)
    same((traces, weights), tuple(seeded(particles)))


def test_traces_that_come_out_can_be_edited() -> None:
    trace = jit(lambda: line.simulate(XS), backend="graph")()

    moved = trace.update({"slope": 0.5})

    torch.testing.assert_close(moved.trace.score, line.assess(moved.trace.choices, XS).score)


def test_a_program_is_used_again_for_arguments_of_the_same_kind() -> None:
    weigh = jit(lambda ys, s: line.generate({"y": ys * s}, XS).weight, backend="graph")

    weigh(YS, 1.0)
    weigh(YS * 2, 3.0)
    assert weigh.num_programs == 1
    weigh(YS.double(), 1.0)
    assert weigh.num_programs == 2
    weigh(YS, 1)  # an int is a constant of the program
    weigh(YS, 2)
    assert weigh.num_programs == 4


OFFSET = 1.0


def test_globals_and_closures_are_guards() -> None:
    scale = 2.0

    def change(value: float) -> None:
        nonlocal scale
        scale = value

    def helper(x: Tensor) -> Tensor:
        return x * scale + OFFSET

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(helper(x), 1.0) @ "y"

    mean = jit(lambda x: model.generate({"y": 0.0}, x).trace.subtrace("y").args[0], backend="graph")

    assert mean(torch.tensor(3.0)) == 7.0
    change(10.0)
    assert mean(torch.tensor(3.0)) == 31.0
    global OFFSET
    OFFSET = 2.0
    assert mean(torch.tensor(3.0)) == 32.0
    OFFSET = 1.0
    assert mean(torch.tensor(3.0)) == 31.0
    assert mean.num_programs == 3


def test_what_a_tuple_holds_is_a_guard() -> None:
    settings = ([1.0], "x")
    scaled = jit(lambda x: x * settings[0][0], backend="graph")

    assert scaled(torch.tensor(3.0)) == 3.0
    settings[0][0] = 2.0
    assert scaled(torch.tensor(3.0)) == 6.0


def test_few_and_many_choices_are_scored_alike() -> None:
    @gen
    def model(n: int) -> None:
        x = torch.zeros(())
        for i in range(n):
            x = normal(x, 1.0) @ ("x", i)

    for n in (3, 20):
        torch.manual_seed(0)
        expected = model.simulate(n)
        torch.manual_seed(0)
        trace = jit(model.simulate, backend="graph")(n)
        same(trace, expected)


def test_changes_within_long_and_deep_containers_are_noticed() -> None:
    table: dict[str, Any] = {"levels": [[[[0.0]]], *range(5000)]}

    def read(x: Tensor) -> Any:
        return x + table["levels"][0][0][0][0] + table["levels"][5000]

    compiled = jit(read, backend="graph")

    assert compiled(torch.tensor(0.0)) == 4999.0
    table["levels"][0][0][0][0] = 1.0
    assert compiled(torch.tensor(0.0)) == 5000.0
    table["levels"][5000] = 7
    assert compiled(torch.tensor(0.0)) == 8.0


def test_attributes_of_an_object_are_guards() -> None:
    class Model:
        def __init__(self) -> None:
            self.scale = 1.0

        @gen
        def run(self) -> Tensor:
            return normal(0.0, self.scale) @ "x"

    model = Model()
    weigh = jit(lambda: model.run.generate({"x": 0.0}).weight, backend="graph")

    first = weigh()
    model.scale = 2.0

    assert float(first - weigh()) == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_parameter_that_an_optimizer_updates_is_seen(backend: Backend) -> None:
    @gen
    def model() -> Tensor:
        return normal(param("loc", 0.0), 1.0) @ "x"

    weigh = jit(lambda: model.generate({"x": 1.0}).weight, backend=backend)
    first = float(weigh())
    optimizer = torch.optim.SGD(list(model.params.values()), lr=0.5, maximize=True)

    for _ in range(20):
        optimizer.zero_grad()
        weigh().backward()
        optimizer.step()

    assert float(weigh()) == pytest.approx(first + 0.5, abs=1e-3)
    assert weigh.num_programs == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_staged_functions_are_differentiable_as_eager_ones(backend: Backend) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 5))

    @gen
    def model(x: Tensor) -> Tensor:
        z = normal(torch.zeros(5), 1.0) @ "z"
        return normal(net(x) + z, torch.nn.functional.softplus(param("s", 1.0))) @ "y"

    def loss(x: Tensor) -> tuple[Tensor, Tensor]:
        trace, weight = model.generate({"y": YS}, x)
        with torch.no_grad():
            untouched = weight * 2
        return -weight + untouched, trace.score

    compiled = jit(loss, backend=backend)
    gradients = []
    for function in (loss, compiled):
        x = XS.clone().requires_grad_()
        torch.manual_seed(7)
        value = function(x)[0]
        sources = [x, *net.parameters(), *model.params.values()]
        gradients.append([value.detach(), *torch.autograd.grad(value, sources)])

    same(gradients[1], gradients[0])
    with torch.no_grad():
        assert not compiled(XS.clone().requires_grad_())[0].requires_grad


def test_what_is_written_in_place_has_its_gradient() -> None:
    def loss(x: Tensor) -> Tensor:
        made = torch.zeros(3)
        made[0] = x
        made.mul_(2.0)
        return made.square().sum()

    x = torch.tensor(3.0, requires_grad=True)
    jit(loss, backend="graph")(x).backward()

    assert x.grad == 24.0


def test_compiling_what_writes_in_place_draws_nothing() -> None:
    def loss(x: Tensor) -> Tensor:
        made = torch.randn(3)
        made.mul_(x)
        return made.square().sum()

    x = torch.tensor(3.0, requires_grad=True)
    torch.manual_seed(0)
    expected = loss(x)
    torch.manual_seed(0)
    found = jit(loss, backend="graph")(x)

    torch.testing.assert_close(found, expected)


def test_captured_tensors_that_depend_on_each_other_have_their_gradients_once() -> None:
    slope = torch.tensor(1.5, requires_grad=True)
    scale = slope.exp()

    def loss(x: Tensor) -> Any:
        return x * slope + torch.func.grad(lambda at: at * scale * slope)(x)

    (expected,) = torch.autograd.grad(loss(torch.tensor(3.0)), slope, retain_graph=True)
    program = jit(loss, backend="graph")

    for _ in range(2):
        (found,) = torch.autograd.grad(program(torch.tensor(3.0)), slope, retain_graph=True)
        torch.testing.assert_close(found, expected)


def test_a_second_derivative_through_a_program_is_an_error_and_within_it_is_not() -> None:
    def cube(x: Tensor) -> Tensor:
        return x * x * x

    def slope(x: Tensor) -> Tensor:
        return torch.autograd.grad(cube(x), x, create_graph=True)[0]

    x = torch.tensor(2.0, requires_grad=True)

    with pytest.raises(GradientError, match="A program has no second derivative"):
        torch.autograd.grad(jit(cube, backend="graph")(x), x, create_graph=True)
    assert torch.autograd.grad(jit(slope, backend="graph")(x), x)[0] == 12.0


def test_gradients_may_be_taken_within() -> None:
    @jit
    def gradient(slope: Tensor) -> Tensor:
        slope = slope.detach().requires_grad_()
        choices: dict[Any, Any] = {"slope": slope, "steep": torch.tensor(False), "y": YS}
        score = line.assess(choices | {("noise", "value"): 1.0}, XS).score
        return torch.autograd.grad(score, slope)[0]

    got = gradient(torch.tensor(0.5))

    expected = -0.5 + float(((YS - 0.5 * XS) * XS).sum()) / 1.1**2
    assert float(got) == pytest.approx(expected, rel=1e-4)


def test_a_step_of_metropolis_hastings_stages_with_choose() -> None:
    def step(trace: Any) -> Any:
        proposed = trace.regenerate(select("slope"))
        accepted = uniform.sample(0.0, 1.0).log() < proposed.weight
        return choose(accepted, proposed.trace, trace)

    trace, _ = line.generate({"y": YS}, XS)
    compiled = jit(step, backend="graph")

    for _ in range(20):
        state = torch.get_rng_state()
        eager = step(trace)
        torch.set_rng_state(state)
        staged = compiled(trace)
        assert staged.choices == eager.choices
        trace = staged
    assert compiled.num_programs <= 2


def test_control_flow_on_a_random_value_names_the_model_and_the_line() -> None:
    @gen
    def branching() -> Tensor:
        if bernoulli(0.5) @ "z":
            return normal(0.0, 1.0) @ "x"
        return normal(0.0, 2.0) @ "y"

    @gen
    def counting() -> None:
        for i in range(int(poisson(3.0) @ "n")):
            normal(0.0, 1.0) @ ("x", i)

    @gen
    def caller() -> Tensor:
        return branching() @ ("sub", 2)

    with pytest.raises(StagingError, match=r"branching \(.*test_jit.py:\d+\) cannot be staged: a branch"):
        jit(branching.simulate)()
    with pytest.raises(
        StagingError, match=r"branching \(.*:\d+\), at address \('sub', 2\), cannot be staged"
    ):
        jit(caller.simulate)()
    with pytest.raises(StagingError, match=r"counting \(.*test_jit.py:\d+\) cannot be staged"):
        jit(counting.simulate)()


def test_the_modes_and_training_flags_are_part_of_the_kind() -> None:
    drop = nn.Dropout(0.5)

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(drop(x), 1.0) @ "y"

    mean = jit(lambda x: model.simulate(x).subtrace("y").args[0], backend="graph")
    ones = torch.ones(1000)

    assert set(mean(ones).unique().tolist()) == {0.0, 2.0}
    drop.eval()
    assert torch.equal(mean(ones), ones)
    with torch.no_grad():
        mean(ones)
    assert mean.num_programs == 3


def test_a_backend_without_a_compiler_warns_once_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    from gen_core import GenWarning
    from gen_torch import backends

    monkeypatch.setattr(backends, "_has_cpp_compiler", lambda: False)
    backends._has_compiler.cache_clear()
    try:
        with pytest.warns(GenWarning, match="No compiler for cpu was found"):
            choices = jit(lambda: line.simulate(XS).choices)()
        assert isinstance(choices, ChoiceMap)
    finally:
        backends._has_compiler.cache_clear()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_staged_and_eager_agree() -> None:
    xs, ys = XS.cuda(), YS.cuda()

    def weigh(slopes: Tensor) -> Tensor:
        given: dict[Any, Any] = {"steep": torch.tensor(False, device="cuda"), "y": ys}
        given["noise", "value"] = torch.ones((), device="cuda")
        weights: Tensor = batch(lambda slope: line.generate(given | {"slope": slope}, xs).weight)(slopes)
        return weights

    slopes = torch.linspace(-2.0, 2.0, 1000, device="cuda")

    torch.testing.assert_close(jit(weigh)(slopes), weigh(slopes), rtol=1e-4, atol=1e-4)
