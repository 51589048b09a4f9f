"""What static functions are: values, methods, callees, errors, and saved traces."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gen_core import load, save
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_sml import (
    Graph,
    GraphError,
    HiddenCallError,
    NotACallError,
    StaticFunction,
    StaticTrace,
    param,
    static,
    static_function,
)
from gen_sml.graph import Argument, Expression, Place, Scope, Visit


@static
def line(x: float, noise: float = 0.5) -> Tensor:
    """Return a point of a line."""
    slope = normal(0.0, 1.0) @ "slope"
    return normal(slope * x, noise) @ ("y", 0)


def test_a_static_function_keeps_what_its_source_says() -> None:
    assert line.name == "line" and line.__doc__ == "Return a point of a line."
    assert isinstance(line.graph, Graph)
    assert next(line.graph.visits()).target == "slope"


def test_a_trace_has_choices_and_subtraces_by_address() -> None:
    trace = line.simulate(2.0)

    assert isinstance(trace, StaticTrace)
    assert trace.choices.keys() == ["slope", ("y", 0)]
    assert trace["slope"] == trace.choices["slope"]
    assert trace.subtrace(("y", 0)).gen_fn is normal
    assert "y" not in trace and ("y", 1) not in trace


def test_defaults_and_keywords_are_bound() -> None:
    assert line.simulate(2.0).args == (2.0, 0.5)
    assert line.simulate(2.0, noise=1.0).args == (2.0, 1.0)


def test_traces_are_saved_and_loaded(tmp_path: Path) -> None:
    trace = line.simulate(2.0)
    save(trace.choices, tmp_path / "choices.pt")

    assert load(tmp_path / "choices.pt") == trace.choices


def make(scale: float) -> Any:
    @static
    def nested(x: float) -> Tensor:
        return normal(x, scale) @ "x"

    return nested


def test_nested_functions_are_equal_if_what_they_capture_is() -> None:
    assert make(1.0) == make(1.0) and hash(make(1.0)) == hash(make(1.0))
    assert make(1.0) != make(2.0)
    assert make(1.0).program.definition is make(2.0).program.definition


def test_each_closure_sees_its_own_values() -> None:
    near, far = make(1.0), make(100.0)

    scores = [float(f.assess({"x": 50.0}, 0.0).score) for f in (near, far)]

    assert scores[0] < -1000 < scores[1]


def test_free_variables_are_looked_up_late() -> None:
    scale = 1.0

    @static
    def model() -> Tensor:
        return normal(0.0, scale) @ "x"

    before = model.assess({"x": 0.0}).score
    scale = 2.0

    assert model.assess({"x": 0.0}).score < before


class Regression:
    def __init__(self) -> None:
        self.net = nn.Linear(1, 1)

    @static
    def model(self, x: Tensor) -> Tensor:
        mean = self.net(x).squeeze(-1)
        return normal(mean, param("noise", 1.0)) @ "y"


def test_methods_have_parameters_and_modules_of_their_object() -> None:
    one, other = Regression(), Regression()
    trace = one.model.generate({"y": 3.0}, torch.ones(1)).trace

    names = dict(one.model.get_torch_nn_module().named_parameters())
    trace.accumulate_param_gradients()

    assert set(names) == {"net.weight", "net.bias", "noise"}
    assert all(parameter.grad is not None for parameter in names.values())
    assert one.model == one.model != other.model


def test_both_languages_call_each_other() -> None:
    @gen
    def dynamic(n: int) -> Tensor:
        return torch.stack([line(float(i)) @ ("row", i) for i in range(n)]).sum()

    @static
    def outer(n: int) -> Tensor:
        total = dynamic(n) @ "rows"
        return normal(total, 1.0) @ "end"

    trace = outer.simulate(2)
    moved = trace.update({("rows", "row", 1, "slope"): 0.5}).trace

    torch.testing.assert_close(moved.score, outer.assess(moved.choices, 2).score)


def helper(x: float) -> Tensor:
    return normal(x, 1.0) @ "hidden"


@static
def hides_a_call(x: float) -> Tensor:
    y = helper(x)
    return normal(y, 1.0) @ "y"


def test_a_traced_call_in_a_helper_is_refused() -> None:
    with pytest.raises(HiddenCallError, match=r"normal\(...\) @ 'hidden' ran inside .* hides_a_call calls"):
        hides_a_call.simulate(0.0)


@static
def visits_a_number(x: Any) -> Any:
    return x @ "y"


def test_what_is_visited_must_be_a_call() -> None:
    with pytest.raises(NotACallError, match=r"visits_a_number \(.*\) visits a float at 'y'"):
        visits_a_number.simulate(1.0)


def by_hand(second: str) -> StaticFunction[..., Any]:
    place = Place(__file__, 1)
    signature = inspect.signature(lambda p: None)
    nodes = (
        Argument("p", place),
        Visit("x", Expression("bernoulli(p)", ("p",)), ("x",), place),
        Visit("y", Expression("bernoulli(0.9 if x else 0.2)", ("x",)), (second,), place),
    )
    return static_function(
        Graph("by_hand", signature, nodes, Expression("y", ("y",)), Scope(globals()), place)
    )


def test_a_graph_made_by_hand_is_a_generative_function() -> None:
    model = by_hand("y")

    score = model.assess({"x": True, "y": False}, 0.3).score

    torch.testing.assert_close(score, torch.tensor(0.03, dtype=torch.float64).log())
    assert bernoulli in [chain[-1].value for chain in model.captured()]


def test_a_graph_with_one_address_twice_is_refused() -> None:
    with pytest.raises(GraphError, match=r"The graph of by_hand is wrong: .*'x'"):
        by_hand("x")
