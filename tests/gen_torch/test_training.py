"""Parameters and networks of models are trained with torch's optimizers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.utils.data import DataLoader, TensorDataset

from gen_distributions import normal
from gen_dml import gen, param


class Nested:
    """A network and parameters, in a callee and in its caller."""

    def __init__(self) -> None:
        self.net = nn.Linear(1, 1)

    @gen
    def mean(self, x: Tensor) -> Tensor:
        mean: Tensor = self.net(x)
        return mean + param("offset", 0.5)

    @gen
    def model(self, x: Tensor) -> Tensor:
        mean = self.mean(x) @ "mean"
        return normal(mean, param("noise", 1.0, constraints.positive)) @ "y"


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def test_gradients_reach_every_parameter_through_callees() -> None:
    nested = Nested()
    trace = nested.model.generate({"y": torch.ones(1)}, torch.ones(1)).trace
    module = nested.model.get_torch_nn_module()

    trace.accumulate_param_gradients()
    accumulated = gradients(module)
    module.zero_grad()
    trace.score.backward()

    assert accumulated.keys() == {"noise", "mean.offset", "mean.net.weight", "mean.net.bias"}
    for name, value in gradients(module).items():
        torch.testing.assert_close(accumulated[name], value)


def test_two_passes_accumulate_and_are_scaled() -> None:
    nested = Nested()
    trace = nested.model.generate({"y": torch.ones(1)}, torch.ones(1)).trace
    module = nested.model.get_torch_nn_module()

    trace.accumulate_param_gradients()
    one = {name: value.clone() for name, value in gradients(module).items()}
    trace.accumulate_param_gradients(scale_factor=2.0)

    for name, value in gradients(module).items():
        torch.testing.assert_close(value, 3.0 * one[name])


def test_retgrad_reaches_the_network() -> None:
    net = nn.Linear(1, 1)

    @gen
    def model(x: Tensor) -> Tensor:
        retval: Tensor = net(x)
        return retval

    trace = model.simulate(torch.full((1,), 3.0))
    trace.accumulate_param_gradients(retgrad=torch.full((1,), 2.0))

    assert net.weight.grad == 6.0


def test_zero_grad_of_the_module_clears_all() -> None:
    nested = Nested()
    nested.model.simulate(torch.ones(1)).accumulate_param_gradients()
    module = nested.model.get_torch_nn_module()

    module.zero_grad()

    assert gradients(module) == {}


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_mini_batches_find_the_least_squares_line(make: type[torch.optim.Optimizer]) -> None:
    torch.manual_seed(0)
    xs = torch.linspace(-1, 1, 64).unsqueeze(-1)
    ys = 2.0 * xs - 0.5
    net = nn.Linear(1, 1)

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(net(x), 1.0) @ "y"

    optimizer = make(model.get_torch_nn_module().parameters(), lr=0.1, maximize=True)  # type: ignore[call-arg]
    for _ in range(40):
        for x, y in DataLoader(TensorDataset(xs, ys), batch_size=16, shuffle=True):
            optimizer.zero_grad()
            model.generate({"y": y}, x).trace.accumulate_param_gradients(scale_factor=1 / len(x))
            optimizer.step()

    # The data have no noise, so the batches agree on the optimum.
    torch.testing.assert_close(net.weight.detach(), torch.tensor([[2.0]]), atol=0.05, rtol=0.0)
    torch.testing.assert_close(net.bias.detach(), torch.tensor([-0.5]), atol=0.05, rtol=0.0)


def test_gradients_run_the_body_again_so_batch_norm_counts_twice() -> None:
    norm = nn.BatchNorm1d(1)

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(norm(x), 1.0) @ "y"

    x = torch.randn(4, 1)
    trace = model.generate({"y": x}, x).trace
    after_one_run = int(norm.num_batches_tracked)  # type: ignore[arg-type]
    trace.accumulate_param_gradients()

    assert (after_one_run, int(norm.num_batches_tracked)) == (1, 2)  # type: ignore[arg-type]
