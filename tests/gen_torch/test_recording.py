"""Modules are recorded while a model runs, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.modules import module as torch_module

from gen_core import GenerativeFunction, MissingPackageError, batch, plugins
from gen_distributions import normal
from gen_dml import gen


def a_model() -> GenerativeFunction[[nn.Module, Tensor], Tensor]:
    @gen
    def model(net: nn.Module, x: Tensor) -> Tensor:
        return normal(net(x).sum(), 1.0) @ "y"

    return model


def recorded(model: GenerativeFunction[[nn.Module, Tensor], Tensor]) -> list[nn.Module]:
    return list(model.get_torch_nn_module().children())


def test_every_operation_records() -> None:
    model = a_model()
    nets = [nn.Linear(1, 1) for _ in range(5)]
    x = torch.zeros(1)

    trace = model.simulate(nets[0], x)
    model.generate({"y": 0.0}, nets[1], x)
    model.assess({"y": 0.0}, nets[2], x)
    trace.update({}, model(nets[3], x))
    trace.regenerate(trace.choices.addresses(), model(nets[4], x))

    assert recorded(model) == nets


def test_a_module_called_under_vmap_is_recorded() -> None:
    model, net = a_model(), nn.Linear(1, 1)

    batch(lambda x: model.simulate(net, x))(torch.zeros(5, 1))

    assert recorded(model) == [net]


def test_a_module_called_through_functional_call_is_recorded() -> None:
    net = nn.Linear(1, 1)

    @gen
    def model(x: Tensor) -> Tensor:
        weights = {name: torch.zeros_like(value) for name, value in net.named_parameters()}
        return normal(torch.func.functional_call(net, weights, (x,)), 1.0) @ "y"

    model.simulate(torch.zeros(1))

    assert recorded(model) == [net]  # type: ignore[arg-type]


def test_a_module_called_under_make_fx_is_recorded() -> None:
    model, net = a_model(), nn.Linear(1, 1)

    make_fx(
        lambda x: model.assess({"y": 0.0}, net, x).score, tracing_mode="fake", _allow_non_fake_inputs=True
    )(torch.zeros(1))

    assert recorded(model) == [net]


def test_an_exception_leaves_no_hook_behind() -> None:
    model = a_model()

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        model.simulate(nn.Linear(3, 1), torch.zeros(2, 2))

    assert not torch_module._global_forward_pre_hooks


def test_the_hook_is_there_only_while_a_run_is_open() -> None:
    open_hooks = []

    @gen
    def model() -> None:
        open_hooks.append(len(torch_module._global_forward_pre_hooks))

    @gen
    def outer() -> None:
        model() @ "inner"

    outer.simulate()

    assert open_hooks == [1]
    assert not torch_module._global_forward_pre_hooks


def test_a_module_called_outside_a_run_is_not_recorded() -> None:
    model, net = a_model(), nn.Linear(1, 1)

    net(torch.zeros(1))

    assert recorded(model) == []


def test_threads_record_into_their_own_models() -> None:
    models = [a_model() for _ in range(8)]
    nets = [nn.Sequential(nn.Linear(1, 1), nn.ReLU()) for _ in models]
    shared = nn.Linear(1, 1)
    errors: list[BaseException] = []

    def work(index: int) -> None:
        try:
            for _ in range(20):
                models[index].simulate(nets[index], torch.zeros(1))
                models[index].simulate(shared, torch.zeros(1))
                list(models[index].get_torch_nn_module().parameters())
        except BaseException as error:
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(models))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    assert errors == []
    assert not torch_module._global_forward_pre_hooks
    assert [recorded(model) for model in models] == [[net, shared] for net in nets]


def test_threads_that_run_one_model_see_one_module() -> None:
    model = a_model()
    nets = [nn.Linear(1, 1) for _ in range(16)]
    module = model.get_torch_nn_module()

    def work(net: nn.Module) -> None:
        for _ in range(5):
            model.simulate(net, torch.zeros(1))
            list(module.named_parameters())

    threads = [threading.Thread(target=work, args=(net,)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(module.children()) == set(nets)


@pytest.mark.filterwarnings("ignore:Using `torch.compile")
def test_a_run_does_not_break_full_graph_compilation_of_a_module() -> None:
    net = nn.Linear(1, 1)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    assert isinstance(compiled, nn.Module)
    model = a_model()

    outside = compiled(torch.ones(1))
    model.simulate(compiled, torch.ones(1))

    assert torch.equal(compiled(torch.ones(1)), outside)
    assert recorded(model) == [compiled]


def test_the_error_without_the_plugin_names_the_package() -> None:
    program = """
import torch
from gen_core import MissingPackageError
from gen_distributions import normal
from gen_dml import gen
net = torch.nn.Linear(1, 1)
@gen
def model():
    return normal(net(torch.zeros(1)), 1.0) @ "x"
model.simulate()
try:
    model.get_torch_nn_module()
except MissingPackageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"GEN_PLUGINS_DISABLED": "torch", "PYTHONPATH": ":".join(sys.path)},
        cwd=Path(__file__).parent,
    )

    assert "model.get_torch_nn_module() needs the package gen-torch" in done.stdout
    assert "pip install gen-torch" in done.stdout
    assert issubclass(MissingPackageError, ImportError)


def test_recording_does_not_make_distributions_count_as_edited() -> None:
    from gen_core import Distribution, rooms

    assert any(operation == "torch_nn_module" for _, operation in plugins.edits)
    assert not rooms.is_edited(Distribution)
