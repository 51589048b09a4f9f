"""Saving and loading of choices and traces."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gen_core import (
    EMPTY,
    ChangedFunctionError,
    ChoiceMap,
    Distribution,
    FileFormatError,
    GenerativeFunction,
    MissingReferenceError,
    NoReferenceError,
    Trace,
    UnsavableError,
    choicemap,
    choices_from_state,
    choices_to_state,
    load,
    plugins,
    save,
    trace_from_state,
    trace_to_state,
)
from gen_core.hookspecs import ValueCodec, gen_distributions, gen_values, implements
from gen_distributions import bernoulli, categorical, gamma, normal, relabelled
from gen_dml import gen


class Weather(Enum):
    SUN = "sun"
    RAIN = "rain"


class Pair(NamedTuple):
    left: Tensor
    right: int


@dataclass(frozen=True)
class Data:
    xs: Tensor
    name: str


class Foreign:
    def __init__(self, content: Tensor) -> None:
        self.content = content


class ForeignPlugin:
    @implements(gen_values)
    def values() -> Mapping[type[Any], ValueCodec]:  # type: ignore[misc]
        codec = ValueCodec(
            lambda foreign: ([foreign.content], None),
            lambda children, rest: Foreign(children[0]),
            lambda foreign: {"content": foreign.content},
            lambda state: Foreign(state["content"]),
        )
        return {Foreign: codec}


weather = relabelled(categorical, [Weather.SUN, Weather.RAIN])
sky = relabelled(bernoulli, ["dark", "bright"])


class DistributionPlugin:
    @implements(gen_distributions)
    def distributions() -> Mapping[str, Distribution[..., Any]]:  # type: ignore[misc]
        return {weather.name: weather}


@gen
def noise(rate: float) -> Tensor:
    return gamma(2.0, rate) @ "a"


@gen
def line(xs: Tensor, *, shift: float = 0.0) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    scale = noise(1.0) @ "noise"
    for i, x in enumerate(xs):
        normal(slope * x + shift, scale) @ ("y", i)
    return slope


@gen
def day() -> str:
    if (weather([0.3, 0.7]) @ "weather") is Weather.RAIN:
        normal(0.0, 1.0) @ "amount"
    return sky(0.4) @ "sky"


@gen
def takes_anything(value: object) -> object:
    normal(0.0, 1.0) @ "x"
    return value


@gen
def untraced() -> None:
    normal(normal(0.0, 1.0).sample(), 1.0) @ "x"


class Models:
    @gen
    def method(self, scale: float) -> None:
        normal(0.0, scale) @ "x"


XS = torch.tensor([1.0, 2.0, 3.0])


def through_file(value: Any) -> Any:
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    torch.load(file, weights_only=True)  # plain data, for whom does not have Gen
    file.seek(0)
    return load(file)


def test_choices_go_to_a_file_and_back(tmp_path: Path) -> None:
    choices = choicemap({"a": torch.randn(2), "sub": {0: True, "word": "x"}, "b": Weather.SUN, "n": 3})

    save(choices, tmp_path / "choices.gen")

    assert load(tmp_path / "choices.gen") == choices
    assert choices_from_state(choices_to_state(EMPTY)) == EMPTY
    assert through_file({("y", 3): 1.0}) == choicemap({("y", 3): 1.0})


def test_a_trace_goes_to_a_file_and_back(tmp_path: Path) -> None:
    trace = line.simulate(XS, shift=0.5)

    save(trace, tmp_path / "trace.gen")
    back = load(tmp_path / "trace.gen")

    assert isinstance(back, Trace)
    assert back.gen_fn is line
    assert back.choices == trace.choices
    assert torch.equal(back.args[0], XS) and back.kwargs == {"shift": 0.5}
    torch.testing.assert_close(back.score, trace.score)
    assert back.retval == trace.retval


def test_a_trace_after_many_edits_loads() -> None:
    trace: Trace[Tensor] = line.simulate(XS)
    for i in range(50):
        trace = trace.update({("y", i % 3): 0.1 * i}).trace

    assert through_file(trace).choices == trace.choices


def test_labels_of_relabelled_distributions_are_saved() -> None:
    trace = day.generate({"weather": Weather.RAIN, "sky": "dark"}).trace

    back = through_file(trace)

    assert back["weather"] is Weather.RAIN and back["sky"] == "dark"
    assert back.choices == trace.choices


def test_the_trace_of_a_distribution_is_saved_by_its_name() -> None:
    trace = normal.simulate(torch.tensor(1.0), 2.0)

    assert through_file(trace).gen_fn == normal
    assert normal.reference == "gen_distributions.normal:normal"
    with plugins.registered(DistributionPlugin, "weather"):
        state = trace_to_state(weather.simulate([0.5, 0.5]))
        assert state["gen_fn"] == {"kind": "distribution", "name": weather.name}
        assert trace_from_state(state).gen_fn == weather


def test_a_distribution_made_of_others_is_saved_by_its_parts() -> None:
    trace = relabelled(categorical, ["a", "b"]).simulate([0.5, 0.5])

    back = through_file(trace)

    assert back.gen_fn == trace.gen_fn
    assert back.retval == trace.retval


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**70,
        float("inf"),
        1j,
        "é",
        b"bytes",
        (1, (2, [3.0])),
        [XS, "a"],
        {"a": XS, 1: {"b": (2,)}},
        {1, 2},
        frozenset({"a"}),
        range(1, 7, 2),
        slice(1, None),
        torch.float64,
        torch.Size([2, 3]),
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.array(["a", "bc"]),
        np.float32(0.5),
        Weather.RAIN,
        Pair(XS, 2),
        Data(XS, "data"),
        Data,
        line,
        normal,
        weather,
        line(XS, shift=1.0),
        choicemap({"a": {"b": XS}}),
        nn.Parameter(torch.ones(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arguments_are_saved(value: Any) -> None:
    back = through_file(takes_anything.simulate(value)).args[0]

    assert type(back) is (Tensor if isinstance(value, Tensor) else type(value))
    assert repr(back) == repr(value.detach() if isinstance(value, Tensor) else value)


def test_a_tensor_that_occurs_twice_is_saved_once() -> None:
    big = torch.randn(1000)
    one, two = io.BytesIO(), io.BytesIO()

    save(takes_anything.simulate([big]), one)
    save(takes_anything.simulate([big, big, {"a": big}]), two)
    two.seek(0)
    first, second, _ = load(two).args[0]  # type: ignore[union-attr]

    assert len(two.getvalue()) < len(one.getvalue()) + 1000
    assert first is second


def test_a_view_is_saved_without_the_rest_of_its_tensor() -> None:
    file = io.BytesIO()

    save(choicemap({"x": torch.randn(10_000)[3]}), file)

    assert len(file.getvalue()) < 5000


def test_a_foreign_argument_is_saved_through_its_codec() -> None:
    trace = takes_anything.simulate(Foreign(XS))

    with plugins.registered(ForeignPlugin, "foreign"):
        back = through_file(trace).args[0]

    assert isinstance(back, Foreign)
    assert torch.equal(back.content, XS)


def test_an_argument_that_cannot_be_saved_is_named() -> None:
    trace = takes_anything.simulate([{"net": nn.Linear(1, 1)}])

    with pytest.raises(UnsavableError, match=r"`value` of takes_anything\[0\]\['net'\]: Linear"):
        trace_to_state(trace)


def test_an_array_of_objects_cannot_be_saved() -> None:
    with pytest.raises(UnsavableError, match="because its dtype is object"):
        trace_to_state(takes_anything.simulate(np.array([object()])))


def test_a_lambda_cannot_be_saved() -> None:
    with pytest.raises(UnsavableError, match="because nothing can import it as"):
        trace_to_state(takes_anything.simulate(lambda x: x))


def test_a_nested_function_cannot_be_saved() -> None:
    @gen
    def nested() -> None:
        normal(0.0, 1.0) @ "x"

    with pytest.raises(NoReferenceError, match="a trace of nested: nested has no importable name"):
        trace_to_state(nested.simulate())
    with pytest.raises(NoReferenceError, match="Cannot save the argument `value` of takes_anything"):
        trace_to_state(takes_anything.simulate(nested))


def test_a_bound_method_cannot_be_saved() -> None:
    with pytest.raises(NoReferenceError, match="bound to an object"):
        trace_to_state(Models().method.simulate(1.0))


def test_a_function_that_was_replaced_cannot_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = line.simulate(XS)
    monkeypatch.setattr(sys.modules[__name__], "line", noise)

    with pytest.raises(NoReferenceError, match="something else is found under"):
        trace_to_state(trace)


@pytest.fixture
def module() -> Iterator[ModuleType]:
    made = sys.modules["saved_model"] = ModuleType("saved_model")
    yield made
    del sys.modules["saved_model"]


def define(module: ModuleType, body: str, parameters: str = "") -> GenerativeFunction[..., Any]:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = (
        "from gen_core import param\nfrom gen_dml import gen\nfrom gen_distributions import normal\n"
        f"@gen\ndef model({parameters}):\n{lines}"
    )
    exec(compile(source, "saved_model.py", "exec"), vars(module))
    function: GenerativeFunction[..., Any] = vars(module)["model"]
    return function


def test_a_function_that_is_gone_is_named(module: ModuleType) -> None:
    state = trace_to_state(define(module, 'normal(0.0, 1.0) @ "x"').simulate())
    del module.model

    with pytest.raises(MissingReferenceError, match="needs model from saved_model"):
        trace_from_state(state)


def test_a_function_of_a_script_says_so() -> None:
    state = {**trace_to_state(line.simulate(XS)), "gen_fn": {"kind": "named", "name": "__main__:model"}}

    with pytest.raises(MissingReferenceError, match="defined in a script or notebook: move it into a module"):
        trace_from_state(state)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('normal(0.0, 1.0) @ "z"', "does not make all saved choices: model never visited 'x'"),
        ('normal(0.0, 1.0) @ "x"\nnormal(0.0, 1.0) @ "y"', r"makes a choice at \('y',\), which the saved"),
        ('normal(0.0, 2.0) @ "x"', r"the saved score is -1.41894, and the same choices have score -1.73"),
    ],
)
def test_a_function_that_was_changed_is_an_error(module: ModuleType, body: str, message: str) -> None:
    trace = define(module, 'normal(0.0, 1.0) @ "x"').generate({"x": 1.0}).trace
    state = trace_to_state(trace)
    define(module, body)

    with pytest.raises(ChangedFunctionError, match=message):
        trace_from_state(state)


def test_a_function_with_other_parameters_is_an_error(module: ModuleType) -> None:
    trace = define(module, 'normal(a, 1.0) @ "x"', "a").simulate(1.0)
    state = trace_to_state(trace)
    define(module, 'normal(a, b) @ "x"', "a, b")

    with pytest.raises(ChangedFunctionError, match=r"not take the saved arguments: .*missing a"):
        trace_from_state(state)


def test_trained_parameters_are_named_as_a_possible_reason(module: ModuleType) -> None:
    model = define(module, 'normal(param("mean", 0.0), 1.0) @ "x"')
    state = trace_to_state(model.generate({"x": 1.0}).trace)
    with torch.no_grad():
        model.params["mean"].add_(1.0)

    with pytest.raises(ChangedFunctionError, match="or modules, load their `state_dict`"):
        trace_from_state(state)


def test_the_score_of_a_function_with_untraced_randomness_is_not_checked() -> None:
    trace = untraced.simulate()

    assert through_file(trace).choices == trace.choices


def test_an_impossible_trace_loads() -> None:
    trace = gamma.generate({(): -1.0}, 2.0, 1.0).trace

    assert through_file(trace).score == -torch.inf


@pytest.mark.parametrize("content", [b"not a file of torch", b""])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.gen"
    path.write_bytes(content)

    with pytest.raises(FileFormatError, match=r"other.gen is not a file that gen_core.save wrote"):
        load(path)


def test_other_data_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / "weights.pt")
    torch.save(Foreign, tmp_path / "class.pt")

    with pytest.raises(FileFormatError, match="Expected saved trace, but got data that Gen did"):
        load(tmp_path / "weights.pt")
    with pytest.raises(FileFormatError, match=r"class.pt is not a file that"):
        load(tmp_path / "class.pt")
    with pytest.raises(FileFormatError, match="Expected saved trace, but got saved choices"):
        trace_from_state(choices_to_state({"x": 1.0}))


def test_a_missing_file_is_what_python_says_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.gen"):
        load(tmp_path / "none.gen")


def test_another_version_of_the_format_is_refused() -> None:
    state = {**choices_to_state({"x": 1.0}), "version": 2}

    with pytest.raises(FileFormatError, match="has version 2 of the format"):
        choices_from_state(state)


def test_loaded_choices_constrain() -> None:
    trace = line.simulate(XS)
    choices = through_file(trace.choices)

    assert isinstance(choices, ChoiceMap)
    torch.testing.assert_close(line.assess(choices, XS).score, trace.score)


@gen
def hidden_coin() -> Tensor:
    hidden = bernoulli(0.1).sample()
    return normal(10.0 if hidden else 0.0, 1.0) @ "x"


def test_a_trace_with_discrete_untraced_randomness_loads() -> None:
    torch.manual_seed(0)
    for _ in range(30):
        trace, _ = hidden_coin.generate({"x": 1.0})

        loaded = trace_from_state(trace_to_state(trace))

        assert loaded.choices == trace.choices
