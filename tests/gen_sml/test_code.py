"""Generated code can be read, stepped through and blamed."""

from __future__ import annotations

import gc
import linecache
import traceback
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import Distribution, ParameterError, select
from gen_core.run import current_handler
from gen_distributions import normal
from gen_sml import static


@static
def model(x: float, noise: float = 1.0) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    mean = slope * x
    return normal(mean, noise) @ ("y", 0)


def test_code_of_a_run_is_the_body() -> None:
    code = model.code("simulate")

    assert code.startswith("def simulate(run, /, x, noise):")
    assert "    # test_code.py:" in code and 'slope = normal(0.0, 1.0) @ "slope"' in code
    assert "    mean = slope * x\n" in code


def test_code_of_an_edit_has_only_what_the_change_reaches() -> None:
    code = model.code("update", ("y", 0))

    assert "slope * x" not in code and "normal(mean, noise)" in code


def test_code_of_an_edit_depends_on_the_arguments_that_changed() -> None:
    assert "slope * x" in model.code("regenerate", changed="x")
    assert "slope * x" not in model.code("regenerate", changed=["noise"])
    assert "in touched" in model.code("update")


@pytest.mark.parametrize(
    ("arguments", "changed", "message"),
    [
        (("prove",), None, "Expected an operation"),
        (("update", "slop"), None, "visits nothing at 'slop'"),
        (("update",), "z", "no argument 'z'"),
        (("simulate", "slope"), None, "does not depend"),
    ],
)
def test_what_code_is_asked_for_must_exist(arguments: Any, changed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.code(*arguments, changed=changed)


class Failure(Exception):
    pass


def fail_if(condition: bool) -> float:
    if condition:
        raise Failure
    return 1.0


@static
def fails(condition: bool) -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    scale = fail_if(condition)
    return normal(x, scale) @ "y"


@static
def calls(condition: bool) -> Tensor:
    return fails(condition) @ ("a", 1)


@pytest.mark.parametrize("operation", ["simulate", "update", "regenerate"])
def test_an_error_names_the_line_of_the_user(operation: str) -> None:
    trace = calls.simulate(False)
    (line,) = [node.place.line for node in fails.graph.nodes if "scale" in node.targets]
    with pytest.raises(Failure) as caught:
        if operation == "simulate":
            calls.simulate(True)
        elif operation == "update":
            trace.update({}, calls(True))
        else:
            trace.regenerate(select(("a", 1, "y")), calls(True))

    (note,) = caught.value.__notes__
    assert note.startswith("Raised in fails (") and f"test_code.py:{line})" in note
    assert note.endswith("at address ('a', 1).")
    assert current_handler() is None


def test_a_traceback_shows_the_generated_line() -> None:
    with pytest.raises(Failure) as caught:
        fails.simulate(True)

    text = "".join(traceback.format_exception(caught.value))
    assert "<static fails.simulate" in text and "scale = fail_if(condition)" in text


def test_a_bad_parameter_names_the_address() -> None:
    with pytest.raises(ParameterError, match=r"positive.*at address \('y', 0\) in model"):
        model.simulate(0.5, -1.0)


def test_generated_code_is_forgotten_with_its_function() -> None:
    def make() -> str:
        namespace: dict[str, Any] = {"normal": normal, "static": static}
        text = "@static\ndef short_lived():\n    return normal(0.0, 1.0) @ 'x'\n"
        linecache.cache["<short lived>"] = (len(text), None, text.splitlines(True), "<short lived>")
        exec(compile(text, "<short lived>", "exec"), namespace)
        namespace["short_lived"].simulate()
        return "<static short_lived.simulate>"

    name = make()
    gc.collect()

    assert name not in linecache.cache


@static
def clashing(run: float, simulate: float, update: float) -> Tensor:
    old = normal(run, simulate) @ "old"
    touched = normal(old, update) @ "touched"
    return touched * 2


def test_names_of_the_user_do_not_collide_with_generated_ones() -> None:
    trace = clashing.simulate(0.5, 1.0, 2.0)

    for _ in range(3):
        trace = trace.update({"old": 1.0}).trace

    torch.testing.assert_close(trace.score, clashing.assess(trace.choices, 0.5, 1.0, 2.0).score)


simulate: Distribution[..., Tensor] = normal


@static
def uses_a_global_named_as_the_operation() -> Tensor:
    return simulate(0.0, 1.0) @ "x"


def test_a_global_may_be_named_as_an_operation() -> None:
    assert "x" in uses_a_global_named_as_the_operation.simulate()
