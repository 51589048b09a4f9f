"""Random draws in staged loops: those of the loop that runs eagerly, in batches and with gradients too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import batch
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_torch import jit, scan

SCALES = torch.tensor([0.5, 0.6, 0.7])


@gen
def kernel(previous: Tensor, scale: Tensor) -> Tensor:
    heads = bernoulli(0.3) @ "heads"
    x = normal(torch.where(heads, previous, -previous), scale) @ "x"
    return x + scale * normal.sample(0.0, 1.0)


def simulated(scale: Tensor) -> tuple[Tensor, Any]:
    def step(carry: Tensor, _: Tensor) -> Any:
        trace = kernel.simulate(carry, scale)
        return trace.retval, (trace.score, trace["heads"], torch.rand(2))

    return scan(step, torch.zeros(()), length=5)


def loss(scale: Tensor) -> Any:
    last, (scores, _, uniforms) = simulated(scale)
    return last.square() + scores.sum() * scale + (uniforms * scale).sum()


def by_autograd(scale: Tensor) -> Tensor:
    scale = scale.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(loss(scale), scale)[0]


def of_a_batch(scales: Tensor) -> Any:
    return batch(loss)(scales).sum()


def of_a_shared_batch(scale: Tensor) -> Any:
    return batch(loss, None, size=4)(scale).sum()


RUNS: list[tuple[str, Callable[..., Any], Tensor]] = [
    ("a batch", batch(simulated), SCALES),
    ("a shared batch", batch(simulated, None, size=4), SCALES[0]),
    ("a batch of batches", batch(batch(simulated, None, size=2)), SCALES),
    ("a gradient", by_autograd, SCALES[0]),
    ("a batch of gradients", batch(torch.func.grad(loss)), SCALES),
    ("the gradient of a batch", torch.func.grad(of_a_batch), SCALES),
    ("the gradient of a shared batch", torch.func.grad(of_a_shared_batch), SCALES[0]),
]


@pytest.mark.skipif(torch.__version__ < "2.13", reason="older loops draw once more")
@pytest.mark.parametrize(("function", "scale"), [run[1:] for run in RUNS], ids=[run[0] for run in RUNS])
def test_a_staged_loop_draws_what_the_loop_draws(function: Callable[..., Any], scale: Tensor) -> None:
    program = jit(function, backend="graph")
    torch.manual_seed(1)
    expected = function(scale)

    for _ in range(2):
        torch.manual_seed(1)
        torch.testing.assert_close(program(scale), expected)


@pytest.mark.skipif(torch.__version__ < "2.13", reason="older compilers reorder draws")
def test_a_compiled_batch_of_gradients_draws_what_it_draws_eagerly() -> None:
    gradients = RUNS[4][1]
    torch.manual_seed(1)
    expected = gradients(SCALES)

    torch.manual_seed(1)
    torch.testing.assert_close(jit(gradients)(SCALES), expected, rtol=1e-4, atol=1e-5)


def test_every_run_of_a_batch_draws_its_own() -> None:
    torch.manual_seed(2)
    _, (_, _, uniforms) = jit(batch(simulated, None, size=4), backend="graph")(SCALES[0])

    assert len(set(uniforms.flatten().tolist())) == uniforms.numel() == 40
