"""A model's `nn.Module` does what any other does."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import constraints

from gen_core import GenerativeFunction, ParameterError
from gen_distributions import normal
from gen_dml import gen, param
from gen_torch import UnknownParameterError, functional_call


class Regression(nn.Module):
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        self.slope = nn.Parameter(torch.ones(()))
        self.register_buffer("shift", torch.zeros(()))

    @gen
    def callee(self, x: Tensor) -> Tensor:
        mean: Tensor = self.net(x).squeeze(-1)
        return param("weight", 2.0) * mean * self.slope

    @gen
    def model(self, x: Tensor) -> Tensor:
        mean = self.callee(x) @ "mean"
        noise = param("noise", 1.0, constraints.positive)
        return normal(mean + self.shift, noise) @ "y"


def ran() -> Regression:
    regression = Regression()
    regression.model.simulate(torch.zeros(2))
    return regression


def test_parameters_of_param_appear_as_they_are_made() -> None:
    regression = Regression()
    module = regression.model.get_torch_nn_module()
    before = set(dict(module.named_parameters()))

    regression.model.simulate(torch.zeros(2))

    assert set(dict(module.named_parameters())) - before == {"noise", "callee.weight"}
    assert module.get_parameter("noise") is regression.model.params["noise"]


def test_the_state_of_one_model_loads_into_another() -> None:
    one, other = ran(), ran()
    for value in one.model.get_torch_nn_module().parameters():
        value.data.uniform_(0.1, 1.0)
    file = io.BytesIO()
    torch.save(one.model.get_torch_nn_module().state_dict(), file)
    file.seek(0)

    other.model.get_torch_nn_module().load_state_dict(torch.load(file))

    x = torch.randn(2)
    assert one.model.assess({"y": 0.5}, x).score == other.model.assess({"y": 0.5}, x).score
    assert list(one.model.get_torch_nn_module().state_dict()) == [
        "noise", "shift", "callee.weight", "callee.slope",
        "callee.net.0.weight", "callee.net.0.bias", "callee.net.2.weight", "callee.net.2.bias",
    ]  # fmt: skip


def test_assigned_state_is_what_the_model_reads() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()
    state = {name: torch.full_like(value, 0.25) for name, value in module.state_dict().items()}

    module.load_state_dict(state, assign=True)

    assert regression.callee.params["weight"] == 0.25
    assert regression.slope == 0.25
    assert regression.shift == 0.25


def test_a_module_and_its_model_agree_after_a_conversion() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()

    module.double()

    assert {value.dtype for value in module.state_dict().values()} == {torch.float64}
    assert regression.model.params["noise"].dtype is torch.float64
    assert regression.shift.dtype is torch.float64
    assert module.get_parameter("noise") is regression.model.params["noise"]
    assert regression.model.simulate(torch.zeros(2, dtype=torch.float64)).retval.dtype is torch.float64


def test_a_module_and_its_model_agree_on_another_device() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()

    module.to("meta")  # where torch makes new parameters

    assert regression.model.params["noise"].is_meta
    assert regression.slope.is_meta
    assert regression.shift.is_meta
    assert module.get_parameter("callee.weight") is regression.callee.params["weight"]


def test_forward_returns_the_generate_weight() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()
    x = torch.randn(2)

    weight = module({"y": 0.5}, x)

    assert weight == regression.model.generate({"y": 0.5}, x).weight
    assert all(gradient is not None for gradient in torch.autograd.grad(weight, list(module.parameters())))


def test_train_and_eval_reach_dropout_and_batch_norm() -> None:
    dropout, norm = nn.Dropout(0.5), nn.BatchNorm1d(1)

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(norm(dropout(x)), 1.0) @ "y"

    model.get_torch_nn_module().eval()
    x = torch.randn(4, 1)

    assert not dropout.training and not norm.training
    assert model.assess({"y": x}, x).score == model.assess({"y": x}, x).score
    assert norm.running_mean == 0.0


def test_a_name_with_a_dot_is_refused() -> None:
    @gen
    def model() -> Tensor:
        return param("a.b", 1.0)

    with pytest.raises(ParameterError, match=r"name without dots, but got 'a\.b'"):
        model.simulate()


def test_explicit_parameters_give_the_score_that_they_would_have() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()
    others = {name: torch.full_like(value, 0.5) for name, value in module.named_parameters()}
    x = torch.randn(2)

    explicit = functional_call(module, others, regression.model.assess, {"y": 0.5}, x).score

    before = regression.model.assess({"y": 0.5}, x).score
    module.load_state_dict(others, strict=False)
    assert explicit == regression.model.assess({"y": 0.5}, x).score
    assert explicit != before


def test_func_grad_in_explicit_parameters_agrees_with_backward() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()
    x = torch.randn(2)

    def score(parameters: dict[str, Tensor]) -> Tensor:
        return functional_call(module, parameters, regression.model.assess, {"y": 0.5}, x).score

    gradients = torch.func.grad(score)({name: p.detach() for name, p in module.named_parameters()})
    regression.model.assess({"y": 0.5}, x).score.backward()

    assert gradients.keys() == dict(module.named_parameters()).keys()
    for name, value in module.named_parameters():
        assert value.grad is not None
        torch.testing.assert_close(gradients[name], value.grad)


def test_scores_under_many_parameters_at_once() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()
    x = torch.randn(2)
    many = {name: torch.randn(5, *value.shape) for name, value in module.named_parameters()}

    def score(parameters: dict[str, Tensor]) -> Tensor:
        return functional_call(module, parameters, regression.model.assess, {"y": 0.5}, x).score

    together = torch.func.vmap(score)(many)

    apart = torch.stack([score({name: value[i] for name, value in many.items()}) for i in range(5)])
    torch.testing.assert_close(together, apart)


def test_an_error_leaves_the_parameters_as_they_were() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()
    before = dict(module.named_parameters())

    def fail() -> None:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        functional_call(module, {name: torch.zeros_like(p) for name, p in before.items()}, fail)

    assert all(p is before[name] for name, p in module.named_parameters())


def test_an_unknown_name_is_refused() -> None:
    regression = ran()

    with pytest.raises(UnknownParameterError, match=r"no parameter 'nois'\. The nearest of 8: 'noise'"):
        functional_call(regression.model.get_torch_nn_module(), {"nois": torch.ones(())}, ran)


def test_an_optimizer_made_before_the_first_run_trains() -> None:
    net = nn.Linear(1, 1)

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(net(x), 1.0) @ "y"

    optimizer = torch.optim.SGD(model.get_torch_nn_module().parameters(), lr=0.1)
    before = net.weight.detach().clone()
    loss: Tensor = -model.generate({"y": torch.ones(1)}, torch.ones(1)).weight
    loss.backward()
    optimizer.step()

    assert net.weight != before


def test_a_copied_module_has_parameters_of_its_own() -> None:
    regression = ran()
    module = regression.model.get_torch_nn_module()

    other = copy.deepcopy(module)
    other.get_parameter("noise").data.fill_(3.0)
    other.get_parameter("callee.net.0.weight").data.fill_(3.0)

    assert list(other.state_dict()) == list(module.state_dict())
    assert regression.model.params["noise"] != 3.0
    x = torch.randn(2)
    assert other({"y": 0.5}, x) != module({"y": 0.5}, x)


def test_distributions_have_an_empty_module() -> None:
    function: GenerativeFunction[..., Tensor] = normal

    assert list(function.get_torch_nn_module().parameters()) == []
