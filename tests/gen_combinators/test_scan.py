"""Scan: a carry, inputs and outputs, with the incremental edits of Unfold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gen_combinators import Scan
from gen_combinators.errors import InputsError, StepRetvalError
from gen_core import UNCHANGED, UNKNOWN, VectorDiff, batch, select
from gen_distributions import normal
from gen_dml import gen

runs: list[float] = []
"""The inputs that the kernel ran on, in order."""


@pytest.fixture(autouse=True)
def no_runs() -> Iterator[None]:
    runs.clear()
    yield


@gen
def smooth(level: Any, x: Any, scale: float) -> tuple[Tensor, Tensor]:
    runs.append(float(torch.as_tensor(x).detach()))
    level = normal(level + x, scale) @ "level"
    return level, normal(level, 0.5) @ "y"


@gen
def add_up(total: Any, x: Any) -> tuple[Any, Any]:
    runs.append(float(torch.as_tensor(x).detach()))
    noise = normal(x, 1.0) @ "noise"
    return total + x, total + noise


scan = Scan(smooth)
sums = Scan(add_up)


def log_normal(value: Any, loc: Any, scale: float = 1.0) -> Any:
    return torch.distributions.Normal(torch.as_tensor(loc), scale).log_prob(torch.as_tensor(value))


def test_it_returns_the_last_carry_and_the_outputs() -> None:
    trace = scan.simulate(0.0, [1.0, 2.0, 3.0], 1.0)
    carry, ys = trace.retval

    assert float(carry) == float(trace[2, "level"])
    assert list(ys) == [trace[i, "y"] for i in range(3)]
    assert trace.choices.paths() == [(i, name) for i in range(3) for name in ("level", "y")]


def test_no_inputs_return_the_initial_carry() -> None:
    carry, ys = scan.simulate(0.5, [], 1.0).retval

    assert carry == 0.5
    assert len(ys) == 0


def test_the_score_is_the_sum_of_the_steps_densities() -> None:
    given = {(0, "level"): 0.5, (0, "y"): 0.1, (1, "level"): 2.0, (1, "y"): 2.2}

    score, _ = scan.assess(given, 0.0, torch.tensor([1.0, 2.0]), 1.0)

    expected = (
        log_normal(0.5, 1.0) + log_normal(0.1, 0.5, 0.5) + log_normal(2.0, 2.5) + log_normal(2.2, 2.0, 0.5)
    )
    assert torch.allclose(score.float(), expected)


@pytest.mark.unverified
@pytest.mark.parametrize("make", [list, tuple, torch.tensor, np.array])
def test_an_edit_runs_the_steps_of_changed_inputs(make: Any) -> None:
    trace = scan.simulate(0.0, make([1.0, 2.0, 3.0, 4.0]), 1.0)
    runs.clear()

    new, weight, retdiff, _ = trace.update({}, scan(0.0, make([1.0, 2.5, 3.0, 4.0]), 1.0))

    expected = log_normal(new[1, "level"], new[0, "level"] + 2.5) - log_normal(
        new[1, "level"], new[0, "level"] + 2.0
    )
    assert torch.allclose(weight.float(), expected.float(), atol=1e-5)
    assert retdiff is UNKNOWN or retdiff is UNCHANGED
    # The elements of an array are other objects at each look.
    assert runs == ([2.5] if make is not np.array else [1.0, 2.5, 3.0, 4.0])


@pytest.mark.unverified
def test_a_list_that_was_changed_in_place_is_noticed() -> None:
    xs = [1.0, 2.0, 3.0]
    trace = scan.simulate(0.0, xs, 1.0)
    runs.clear()

    xs[2] = 5.0
    trace.update({}, scan(0.0, xs, 1.0))

    assert runs == [5.0]


@pytest.mark.unverified
def test_hints_name_the_inputs_that_changed() -> None:
    xs: Any = np.array([1.0, 2.0, 3.0])
    trace = scan.simulate(0.0, xs, 1.0)
    runs.clear()

    moved: Any = np.array([1.0, 2.0, 3.5, 4.0])
    trace.update({}, scan(0.0, moved, 1.0), argdiffs={"xs": VectorDiff(4, 3, {2: UNKNOWN})})

    assert runs == [3.5, 4.0]


@pytest.mark.unverified
def test_appending_an_input_runs_one_step() -> None:
    trace = scan.simulate(0.0, [1.0] * 20, 1.0)
    runs.clear()

    new, weight, _, _ = trace.update({(20, "y"): 0.3}, scan(0.0, [*[1.0] * 20, 2.0], 1.0))

    assert runs == [2.0]
    assert torch.allclose(weight.float(), log_normal(0.3, new[20, "level"], 0.5).float())


@pytest.mark.unverified
def test_a_changed_output_does_not_run_the_steps_after_it() -> None:
    trace = sums.simulate(0.0, [1.0, 2.0, 3.0])
    runs.clear()

    new, _, retdiff, _ = trace.update({(1, "noise"): 0.0})

    assert runs == [2.0]
    assert retdiff is UNKNOWN
    assert float(new.retval[1][1]) == 1.0


@pytest.mark.unverified
def test_a_changed_carry_runs_the_steps_after_it() -> None:
    trace = scan.simulate(0.0, [1.0, 2.0, 3.0, 4.0], 1.0)
    runs.clear()

    trace.regenerate(select((1, "level")))

    assert runs == [2.0, 3.0]


@pytest.mark.unverified
def test_dropping_inputs_discards_their_choices() -> None:
    trace = scan.simulate(0.0, [1.0, 2.0, 3.0], 1.0)
    runs.clear()

    _, weight, _, discard = trace.update({}, scan(0.0, [1.0, 2.0], 1.0))

    assert runs == []
    assert torch.allclose(weight, -trace.project(select(2)))
    assert discard == trace.choices.filter(select(2))


def test_gradients_reach_inputs_and_carry() -> None:
    xs = torch.tensor([1.0, 2.0])
    given = {(0, "level"): 0.5, (0, "y"): 0.5, (1, "level"): 2.0, (1, "y"): 2.0}
    trace, _ = scan.generate(given, torch.tensor(0.0), xs, 1.0)

    gradients = trace.choice_gradients().args.args

    assert torch.allclose(gradients[0], torch.tensor(0.5 - 1.0))
    assert torch.allclose(gradients[1], torch.tensor([0.5 - 1.0, 2.0 - 2.5]))


def test_outputs_stack() -> None:
    ys: Any = scan.simulate(0.0, torch.ones(4), 1.0).retval[1]

    assert ys.stack().shape == (4,)


def test_scans_batch() -> None:
    traces = batch(lambda level: sums.simulate(level, torch.ones(3)))(torch.zeros(5))

    assert traces.retval[0].shape == (5,)
    assert float(traces[2].retval[0]) == 3.0


@pytest.mark.parametrize("xs", [3, None, "abc", torch.tensor(1.0), 1.5])
def test_what_has_no_length_is_refused(xs: Any) -> None:
    with pytest.raises(InputsError, match=r"`xs` of Scan\(smooth\)"):
        scan.simulate(0.0, xs, 1.0)


def test_a_kernel_that_returns_no_pair_is_refused() -> None:
    @gen
    def alone(carry: Any, x: Any) -> Any:
        return normal(carry, x) @ "y"

    @gen
    def above() -> Any:
        return Scan(alone)(0.0, [1.0, 2.0]) @ "scan"

    with pytest.raises(StepRetvalError, match=r"kernel of Scan\(alone\) to return a pair") as raised:
        above.simulate()
    assert "at address ('scan', 0)" in str(raised.value.__notes__)
