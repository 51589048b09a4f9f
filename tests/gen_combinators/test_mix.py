"""mix: mixtures of generative functions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import KernelError, NoBranchesError, mix
from gen_core import NONE, ParameterError, batch, choicemap, select
from gen_distributions import exponential, normal
from gen_dml import gen


@gen
def flat(scale: float) -> Tensor:
    level = normal(0.0, 1.0) @ "level"
    return normal(level, scale) @ "y"


@gen
def sloped(x: float, scale: float) -> Tensor:
    level = normal(0.0, 2.0) @ "level"
    slope = normal(0.0, 1.0) @ "slope"
    return normal(level + slope * x, scale) @ "y"


MIXED = mix(flat, sloped)


def test_the_weight_has_the_component_and_its_choices() -> None:
    probs = [1.0, 3.0]

    _, weight = MIXED.generate({"component": 1, ("sample", "level"): 0.5}, probs, (0.1,), (2.0, 0.1))

    assert float(weight) == pytest.approx(math.log(0.75) + float(normal.log_prob(0.5, 0.0, 2.0)), abs=1e-6)


def test_the_component_is_drawn_with_its_probability() -> None:
    torch.manual_seed(0)
    size = 4000

    drawn = batch(lambda: MIXED.simulate([1.0, 3.0], (0.1,), (2.0, 0.1)), size=size)().choices["component"]

    standard_error = math.sqrt(0.25 * 0.75 / size)
    assert float(drawn.double().mean()) == pytest.approx(0.75, abs=4 * standard_error)


def test_a_change_of_component_keeps_shared_choices() -> None:
    args = ([1.0, 3.0], (0.1,), (2.0, 0.1))
    given: dict[Any, float] = {
        "component": 1,
        ("sample", "level"): 0.5,
        ("sample", "slope"): 1.0,
        ("sample", "y"): 0.2,
    }
    trace = MIXED.generate(given, *args).trace

    updated = trace.update({"component": 0})
    back = updated.trace.update(updated.discard)

    assert updated.discard == choicemap(
        {"component": torch.tensor(1), ("sample", "slope"): torch.tensor(1.0)}
    )
    assert float(updated.weight) == pytest.approx(float(updated.trace.score - trace.score))
    assert back.trace.choices == trace.choices and float(back.weight) == pytest.approx(-float(updated.weight))


@pytest.mark.unverified
def test_new_arguments_of_another_component_run_nothing() -> None:
    runs = []

    @gen
    def counting(x: float) -> Tensor:
        runs.append(x)
        return normal(x, 1.0) @ "x"

    mixed = mix(counting, exponential)
    trace = mixed.generate({"component": 0}, [0.5, 0.5], (0.3,), (1.0,)).trace
    runs.clear()

    updated = trace.update({}, mixed([0.5, 0.5], (0.3,), (2.0,)))

    assert runs == [] and float(updated.weight) == pytest.approx(0.0, abs=1e-6)


def test_regenerating_nothing_with_other_probabilities_weighs_their_ratio() -> None:
    trace = MIXED.generate({"component": 1}, [1.0, 3.0], (0.1,), (2.0, 0.1)).trace

    moved = trace.regenerate(NONE, MIXED([1.0, 1.0], (0.1,), (2.0, 0.1)))

    assert float(moved.weight) == pytest.approx(math.log(0.5) - math.log(0.75), abs=1e-6)


def test_a_batch_of_components_weighs_each_as_alone() -> None:
    component = torch.tensor([0, 1, 1])

    traces, weights = batch(lambda k: MIXED.generate({"component": k}, [1.0, 3.0], (0.1,), (2.0, 0.1)))(
        component
    )
    moved = batch(lambda trace, k: trace.update({"component": k}))(traces, 1 - component)

    assert weights.exp().tolist() == pytest.approx([0.25, 0.75, 0.75])
    for i, trace in enumerate(moved.trace):
        known = traces[i].choices.addresses()
        assert int(trace["component"]) == 1 - int(component[i])
        assert trace["sample", "level"] == traces[i]["sample", "level"]
        assert float(moved.weight[i]) == pytest.approx(
            float(trace.project(known) - traces[i].score), abs=1e-5
        )


def test_what_is_no_mixture_is_refused() -> None:
    with pytest.raises(NoBranchesError, match=r"mix\(\) needs at least one"):
        mix()
    with pytest.raises(KernelError, match="Expected the kernel of mix to be a generative function"):
        mix(flat, print)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="Expected `probs` of categorical to be nonnegative"):
        MIXED.simulate([-1.0, 2.0], (0.1,), (2.0, 0.1))


def test_mixtures_of_equal_components_are_equal() -> None:
    assert mix(flat, sloped) == MIXED and hash(mix(flat, sloped)) == hash(MIXED) and mix(flat) != MIXED
    assert repr(MIXED) == "<generative function mix(flat, sloped)(probs, args_0, args_1)>"
    assert MIXED.simulate([1.0, 1.0], (0.1,), (2.0, 0.1)).project(select("component")) == pytest.approx(
        math.log(0.5)
    )
