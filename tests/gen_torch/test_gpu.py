"""The same models on a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gen_distributions
from gen_core import Distribution, batch, choose, select
from gen_distributions import bernoulli, normal, uniform
from gen_dml import gen, param
from gen_torch import jit, scan

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]


@gen
def line(xs: Tensor) -> Tensor:
    slope = normal(xs.new_zeros(()), 1.0) @ "slope"
    steep = bernoulli(xs.new_full((), 0.3)) @ "steep"
    return normal(torch.where(steep, 3.0, 1.0) * slope * xs, 0.5) @ "y"


def data() -> tuple[Tensor, Tensor]:
    xs = torch.linspace(-1.0, 1.0, 50, device="cuda")
    return xs, 0.7 * xs + 0.1


def test_every_operation_runs_where_the_arguments_are() -> None:
    xs, ys = data()

    trace, weight = line.generate({"y": ys}, xs)
    updated = trace.update({"slope": 0.5})
    moved = trace.regenerate(select("slope"))
    gradients = trace.choice_gradients(select("slope"))

    cpu = line.assess({name: value.cpu() for name, value in trace.choices.items()}, xs.cpu())
    for tensor in (trace["slope"], weight, updated.weight, moved.weight, gradients.gradients["slope"]):
        assert tensor.is_cuda
    torch.testing.assert_close(trace.score.cpu(), cpu.score, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(updated.trace.score, line.assess(updated.trace.choices, xs).score)


CASES: dict[str, tuple[Any, ...]] = {
    "bernoulli": (0.3,),
    "beta": (2.0, 3.0),
    "binomial": (torch.tensor(5), 0.3),
    "categorical": (torch.tensor([0.2, 0.3, 0.5]),),
    "cauchy": (0.0, 1.0),
    "dirichlet": (torch.tensor([1.0, 2.0, 3.0]),),
    "exponential": (2.0,),
    "gamma": (2.0, 3.0),
    "geometric": (0.3,),
    "gumbel": (0.0, 1.0),
    "half_normal": (1.0,),
    "inverse_gamma": (3.0, 2.0),
    "laplace": (0.0, 1.0),
    "log_normal": (0.0, 1.0),
    "multivariate_normal": (torch.zeros(3), torch.eye(3)),
    "negative_binomial": (torch.tensor(5.0), 0.3),
    "normal": (0.0, 1.0),
    "pareto": (1.0, 2.0),
    "poisson": (3.0,),
    "student_t": (5.0, 0.0, 1.0),
    "truncated_normal": (0.0, 1.0, -1.0, 2.0),
    "uniform": (0.0, 1.0),
    "von_mises": (0.0, 2.0),
    "weibull": (1.0, 2.0),
}


@pytest.mark.parametrize("name", CASES)
def test_distributions_draw_and_score_on_the_gpu(name: str) -> None:
    distribution: Distribution[..., Any] = getattr(gen_distributions, name)
    args = [torch.as_tensor(value).cuda() for value in CASES[name]]

    value = distribution.sample(*args)
    score = distribution.log_prob(value, *args)
    batched = batch(lambda: distribution.simulate(*args), size=1000)()

    assert value.is_cuda and score.is_cuda
    expected = distribution.log_prob(value.cpu(), *[argument.cpu() for argument in args])
    torch.testing.assert_close(score.cpu(), expected, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(batched.score).all()


def test_a_million_particles_staged_agree_with_the_eager_ones() -> None:
    xs, ys = data()
    slopes = torch.randn(1_000_000, device="cuda")

    def weigh(each: Tensor) -> Tensor:
        given: dict[Any, Any] = {"y": ys, "steep": torch.zeros((), dtype=torch.bool, device="cuda")}
        weights: Tensor = batch(lambda slope: line.generate(given | {"slope": slope}, xs).weight)(each)
        return weights

    torch.testing.assert_close(jit(weigh)(slopes), weigh(slopes), rtol=1e-4, atol=1e-3)


def test_a_staged_chain_on_the_gpu_finds_the_posterior() -> None:
    xs, ys = data()

    def step(trace: Any, _: Tensor) -> tuple[Any, Tensor]:
        proposed = trace.regenerate(select("slope"))
        accepted = uniform.sample(xs.new_zeros(()), 1.0).log() < proposed.weight
        trace = choose(accepted, proposed.trace, trace)
        return trace, trace["slope"]

    given = {"y": ys, "steep": torch.zeros((), dtype=torch.bool, device="cuda")}
    start = batch(lambda: line.generate(given, xs), size=256)().trace
    run = jit(lambda traces: scan(lambda t, x: batch(step, in_dims=(0, None))(t, x), traces, length=200))

    _, slopes = run(start)

    precision = 1.0 + float((xs * xs).sum()) / 0.25
    mean = float((xs * ys).sum()) / 0.25 / precision
    assert abs(float(slopes[100:].mean()) - mean) < 0.05


def test_networks_and_parameters_train_on_the_gpu() -> None:
    net = nn.Linear(1, 1).cuda()

    @gen
    def regression(x: Tensor) -> Tensor:
        scale = param("scale", lambda: torch.ones((), device="cuda"))
        return normal(net(x), torch.nn.functional.softplus(scale)) @ "y"

    x = torch.linspace(-1.0, 1.0, 64, device="cuda").unsqueeze(-1)
    y = 2.0 * x + 1.0
    loss = jit(lambda: -regression.assess({"y": y}, x).score)
    first = float(loss().detach())
    optimizer = torch.optim.Adam([*net.parameters(), *regression.params.values()], lr=0.1)

    for _ in range(100):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    assert float(loss().detach()) < first - 50.0
