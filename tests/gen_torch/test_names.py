"""Which modules and parameters a model's `nn.Module` has, and under which names."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from gen_core import GenerativeFunction, vmap
from gen_distributions import normal
from gen_dml import gen, inline, param

shared = nn.Linear(1, 1)
pair = [nn.Linear(1, 1), nn.Linear(1, 1)]


def names(gen_fn: GenerativeFunction[..., Any]) -> list[str]:
    return [name for name, _ in gen_fn.get_torch_nn_module().named_parameters()]


def children(gen_fn: GenerativeFunction[..., Any]) -> dict[str, nn.Module]:
    return dict(gen_fn.get_torch_nn_module().named_children())


@gen
def of_global(x: Tensor) -> Tensor:
    return normal(shared(x), 1.0) @ "y"


@gen
def of_list(x: Tensor) -> Tensor:
    for i in range(2):
        x = pair[i](x)
    return normal(x, 1.0) @ "y"


def helper(x: Tensor) -> Tensor:
    result: Tensor = shared(x)
    return result


@gen
def through_a_helper(x: Tensor) -> Tensor:
    return normal(helper(x), 1.0) @ "y"


def test_a_module_in_a_global_is_there_before_the_first_run() -> None:
    assert children(of_global) == {"shared": shared}


def test_a_module_in_a_closure_is_there_before_the_first_run() -> None:
    net = nn.Linear(1, 1)

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(net(x), 1.0) @ "y"

    assert names(model) == ["net.weight", "net.bias"]


def test_modules_in_a_list_have_the_path_as_name() -> None:
    assert names(of_list)[::2] == ["pair.0.weight", "pair.1.weight"]


def test_a_module_that_a_helper_calls_is_there_before_the_first_run() -> None:
    assert children(through_a_helper) == {"shared": shared}


def test_a_module_that_is_not_called_as_one_is_found() -> None:
    net = nn.Linear(1, 1)

    @gen
    def model(x: Tensor) -> Tensor:
        return normal(net.forward(x) + nn.functional.linear(x, net.weight), 1.0) @ "y"

    model.simulate(torch.zeros(1))

    assert children(model) == {"net": net}


def test_a_module_in_a_default_argument_is_found() -> None:
    @gen
    def model(x: Tensor, net: nn.Module = shared) -> Tensor:
        return normal(net(x), 1.0) @ "y"

    assert children(model) == {"net": shared}


class Autoencoder(nn.Module):
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(1, 1)
        self.decoder = nn.Linear(1, 1)
        self.layers = nn.ModuleDict({"a": nn.Linear(1, 1)})
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("offset", torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        result: Tensor = self.decoder(z)
        return result

    def mean(self, z: Tensor) -> Tensor:
        result: Tensor = self.layers["a"](self.decoder(z))
        return result

    @gen
    def model(self, z: Tensor) -> Tensor:
        return normal(self.mean(z) * self.scale + self.offset, param("noise", 1.0)) @ "x"

    @gen
    def proposal(self, x: Tensor) -> Tensor:
        return normal(self.encoder(x), 1.0) @ "z"

    @gen
    def both(self, x: Tensor) -> Tensor:
        z = self.proposal(x) @ "proposal"
        return self.model(z) @ "model"

    @gen
    def of_forward(self, z: Tensor) -> Tensor:
        return normal(self(z), 1.0) @ "x"


def test_a_method_has_the_modules_that_it_uses_under_their_attributes() -> None:
    vae = Autoencoder()

    assert names(vae.proposal) == ["encoder.weight", "encoder.bias"]
    assert names(vae.model) == ["scale", "layers.a.weight", "layers.a.bias", "decoder.weight", "decoder.bias"]
    assert list(dict(vae.model.get_torch_nn_module().named_buffers())) == ["offset"]


def test_an_object_that_calls_itself_is_not_part_of_itself() -> None:
    vae = Autoencoder()
    before = children(vae.of_forward)

    vae.of_forward.simulate(torch.zeros(1))

    assert before == children(vae.of_forward) == {"decoder": vae.decoder}


def test_callees_have_their_own_prefixes() -> None:
    vae = Autoencoder()
    vae.both.simulate(torch.zeros(1))

    found = names(vae.both)

    assert found[:2] == ["proposal.encoder.weight", "proposal.encoder.bias"]
    assert found[2:5] == ["model.noise", "model.scale", "model.layers.a.weight"]


def test_each_object_has_a_module_of_its_own() -> None:
    one, other = Autoencoder(), Autoencoder()

    assert children(one.proposal)["encoder"] is one.encoder
    assert children(other.proposal)["encoder"] is other.encoder
    assert one.proposal.get_torch_nn_module() is one.proposal.get_torch_nn_module()


def test_an_object_is_freed_although_its_module_refers_to_it() -> None:
    vae = Autoencoder()
    vae.both.simulate(torch.zeros(1))
    vae.both.get_torch_nn_module()
    alive = weakref.ref(vae)

    del vae
    gc.collect()

    assert alive() is None


def test_a_copied_object_has_parameters_of_its_own() -> None:
    vae = Autoencoder()
    vae.model.simulate(torch.zeros(1))
    vae.model.get_torch_nn_module()

    other = copy.deepcopy(vae)
    other.model.params["noise"].data.fill_(3.0)

    assert vae.model.params["noise"] == 1.0
    assert other.model.get_torch_nn_module().get_parameter("noise") == 3.0
    assert children(other.model)["decoder"] is other.decoder


def test_callees_behind_a_combinator_are_below_it() -> None:
    mapped = vmap(of_global)

    @gen
    def model(xs: Tensor) -> Tensor:
        return mapped(xs) @ "ys"

    assert names(model) == ["mapped.kernel.shared.weight", "mapped.kernel.shared.bias"]


def test_a_callee_passed_as_an_argument_is_found_when_it_runs() -> None:
    @gen
    def outer(inner: GenerativeFunction[[Tensor], Tensor]) -> Tensor:
        return inner(torch.zeros(1)) @ "inner"

    @gen
    def scaled(x: Tensor) -> Tensor:
        return normal(x, param("scale", 1.0)) @ "y"

    before = names(outer)
    outer.simulate(of_global)
    outer.simulate(scaled)

    assert before == []
    assert names(outer) == ["of_global.shared.weight", "of_global.shared.bias", "scaled.scale"]


def test_a_callee_two_levels_below_is_found_by_every_caller() -> None:
    @gen
    def middle(inner: GenerativeFunction[[Tensor], Tensor]) -> Tensor:
        return inner(torch.zeros(1)) @ "inner"

    @gen
    def top(inner: GenerativeFunction[[Tensor], Tensor]) -> Tensor:
        return middle(inner) @ "middle"

    top.simulate(of_global)

    assert names(middle)[0] == "of_global.shared.weight"
    assert names(top)[0] == "middle.of_global.shared.weight"


def test_a_spliced_callee_is_a_callee() -> None:
    @gen
    def spliced(x: Tensor) -> Tensor:
        return normal(shared(x), param("noise", 1.0)) @ "y"

    @gen
    def model(callee: GenerativeFunction[[Tensor], Tensor]) -> Tensor:
        return callee(torch.zeros(1)) @ inline

    model.simulate(spliced)

    assert names(model) == ["spliced.noise", "spliced.shared.weight", "spliced.shared.bias"]


def test_a_module_shared_by_caller_and_callee_is_there_once() -> None:
    @gen
    def model(x: Tensor) -> Tensor:
        y = of_global(x) @ "inner"
        return normal(shared(y), 1.0) @ "y"

    model.simulate(torch.zeros(1))

    assert names(model) == ["shared.weight", "shared.bias"]
    assert children(of_global)["shared"] is children(model)["shared"]


def test_a_recursive_function_is_not_below_itself() -> None:
    @gen
    def chain(n: int, x: Tensor) -> Tensor:
        return chain(n - 1, shared(x)) @ "rest" if n else normal(x, param("s", 1.0)) @ "x"

    chain.simulate(3, torch.zeros(1))

    assert names(chain) == ["s", "shared.weight", "shared.bias"]


def test_a_module_passed_as_an_argument_has_the_name_of_the_argument() -> None:
    @gen
    def model(first: nn.Module, rest: list[nn.Module]) -> Tensor:
        x = first(torch.zeros(1))
        for layer in rest:
            x = layer(x)
        return normal(x, 1.0) @ "x"

    layers: list[nn.Module] = [nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)]
    model.simulate(layers[0], layers[1:])

    assert names(model)[::2] == ["first.weight", "rest.0.weight", "rest.1.weight"]


def test_every_module_ever_called_is_there_with_a_suffix_where_names_meet() -> None:
    @gen
    def model(net: nn.Module) -> Tensor:
        return normal(net(torch.zeros(1)), 1.0) @ "x"

    module = model.get_torch_nn_module()
    nets = [nn.Linear(1, 1) for _ in range(3)]
    for net in (*nets, *nets):
        model.simulate(net)

    assert dict(module.named_children()) == {"net": nets[0], "net_2": nets[1], "net_3": nets[2]}


def test_a_variable_that_is_assigned_again_keeps_the_first_module() -> None:
    net = first = nn.Linear(1, 1)

    @gen
    def model() -> Tensor:
        return normal(net(torch.zeros(1)), 1.0) @ "x"

    model.simulate()
    net = nn.Linear(1, 1)
    model.simulate()

    assert set(children(model).values()) == {first, net}


def test_names_that_modules_have_themselves_are_not_taken() -> None:
    train = nn.Linear(1, 1)

    @gen
    def model() -> Tensor:
        return normal(train(torch.zeros(1)), 1.0) @ "x"

    assert children(model) == {"train_2": train}


def test_a_parameter_with_the_name_of_a_module_leaves_both_reachable() -> None:
    net = nn.Linear(1, 1)

    @gen
    def model() -> Tensor:
        return normal(net(torch.zeros(1)) + param("net", 1.0), 1.0) @ "x"

    model.simulate()

    assert names(model) == ["net", "net_2.weight", "net_2.bias"]


def test_modules_within_a_recorded_one_are_not_recorded_again() -> None:
    nested = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1)))

    @gen
    def model(net: nn.Module) -> Tensor:
        return normal(net(torch.zeros(1)), 1.0) @ "x"

    model.simulate(nested)

    assert children(model) == {"net": nested}


def test_a_module_takes_in_the_part_of_it_that_was_there_before() -> None:
    nested = nn.Sequential(nn.Linear(1, 1), nn.ReLU())

    @gen
    def model(part: nn.Module) -> Tensor:
        return normal(part(torch.zeros(1)), 1.0) @ "x"

    model.simulate(nested[0])
    before = children(model)
    model.simulate(nested)

    assert before == {"part": nested[0]}
    assert children(model) == {"part": nested}


def test_of_a_module_that_is_only_used_in_part_that_part_is_there() -> None:
    vae = Autoencoder()

    @gen
    def model(z: Tensor) -> Tensor:
        return normal(vae.decoder(z), 1.0) @ "x"

    assert names(model) == ["vae.decoder.weight", "vae.decoder.bias"]


def test_modules_made_in_the_body_without_state_leave_nothing_behind() -> None:
    @gen
    def model() -> Tensor:
        return normal(nn.Softmax(-1)(torch.zeros(2)), 1.0) @ "x"

    for _ in range(3):
        model.simulate()

    assert children(model) == {}
    assert model.params.record.seen == {}


def test_functions_made_in_the_body_leave_one_entry_behind() -> None:
    @gen
    def model() -> Tensor:
        @gen
        def inner(net: nn.Module) -> Tensor:
            return normal(net(torch.zeros(1)), 1.0) @ "x"

        return inner(shared) @ "inner"

    for _ in range(3):
        model.simulate()

    assert names(model) == ["shared.weight", "shared.bias"]
    assert len(model.params.record.callees) == 1


def test_a_bare_parameter_in_a_variable_is_found() -> None:
    weight = nn.Parameter(torch.ones(1))

    @gen
    def model() -> Tensor:
        return normal(weight, 1.0) @ "x"

    model.get_torch_nn_module().to(torch.float64)

    assert names(model) == ["weight"]
    assert weight.dtype is torch.float64


class Plain:
    def __init__(self) -> None:
        self.net = nn.Linear(1, 1)
        self.weight = nn.Parameter(torch.ones(1))

    @property
    def dangerous(self) -> nn.Module:
        raise AssertionError("looking for modules ran a property")

    @gen
    def model(self, x: Tensor, *, safe: bool = True) -> Tensor:
        return normal((self.net if safe else self.dangerous)(x) + self.weight, 1.0) @ "x"


def test_an_object_that_is_no_module_has_its_modules_by_attribute() -> None:
    assert names(Plain().model) == ["weight", "net.weight", "net.bias"]
