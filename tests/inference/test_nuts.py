"""The no-U-turn sampler: its trees, its law, and its three ways to run."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import ALL, batch, select
from gen_distributions import gamma, normal, uniform
from gen_dml import gen
from gen_inflib import (
    IDENTITY,
    CountError,
    Metric,
    StagedBatchError,
    StepSizeError,
    dense_metric,
    diagonal_metric,
    nuts,
)
from gen_inflib.integrators import Phase
from gen_inflib.nuts_tree import Candidate, Chances, grow, plant
from gen_inflib.unconstrained import Scored
from gen_torch import jit

COVARIANCE = torch.tensor([[0.5, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 1.0]])


@gen
def pair() -> None:
    x = gamma(3.0, 1.0) @ "x"
    z = uniform(0.0, x) @ "z"
    normal(x - z, 1.0) @ "w"


@pytest.mark.parametrize(
    "metric",
    [IDENTITY, diagonal_metric(torch.tensor([0.3, 2.0, 1.0])), dense_metric(COVARIANCE)],
    ids=["identity", "diagonal", "dense"],
)
def test_chains_in_a_batch_keep_their_law(metric: Metric) -> None:
    torch.manual_seed(1)
    traces = batch(pair.simulate, size=400)()
    kernel = batch(partial(nuts, selection=ALL, step_size=0.5, metric=metric, max_tree_depth=6))

    info: Any = None
    for _ in range(6):
        traces, info = kernel(traces)

    assert 0.3 < float(info.acceptance_probability.mean()) < 1.0
    choices = traces.choices
    for address, mean, second in [("x", 3.0, 12.0), ("z", 1.5, 4.0), ("w", 1.5, 5.0)]:
        for values, expected in [(choices[address], mean), (choices[address] ** 2, second)]:
            error = values.std() / math.sqrt(len(values))
            assert abs(float(values.mean()) - expected) < 4 * error


def gaussian(position: Tensor) -> Scored:
    precision = torch.tensor([1.0, 4.0]).double()
    return Scored(-0.5 * (precision * position.square()).sum(), -precision * position)


class Naive:
    """All states of the doubling under way, and those before, kept; checked by the definition."""

    def __init__(self, root: Phase) -> None:
        self.whole = [root.momentum]
        self.half: list[Tensor] = []

    def add(self, momentum: Tensor, *, is_right: bool) -> bool:
        """Add a momentum, and return whether the trajectory has ended."""
        self.half.append(momentum)
        num = len(self.half)
        size = 2
        while num % size == 0:
            if turned(self.half[num - size :]):
                return True
            size *= 2
        if num < len(self.whole):
            return False
        self.whole = [*self.whole, *self.half] if is_right else [*self.half[::-1], *self.whole]
        self.half = []
        return turned(self.whole)


def turned(momenta: list[Tensor]) -> bool:
    total = torch.stack(momenta).sum(0) - 0.5 * (momenta[0] + momenta[-1])
    return bool(total @ momenta[0] <= 0) or bool(total @ momenta[-1] <= 0)


@pytest.mark.parametrize("seed", range(12))
def test_a_tree_ends_where_it_or_a_subtree_turns_back(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    position, momentum = torch.randn(2, 2, generator=generator, dtype=torch.float64).unbind()
    numbers = torch.rand(1100, 3, generator=generator, dtype=torch.float64)
    here = Candidate(position, *gaussian(position), torch.zeros(()).double())
    step_size = torch.tensor([0.05, 0.3, 0.9][seed % 3]).double()
    tree = plant(IDENTITY, here, momentum, numbers[-1, 2], 10)
    naive = Naive(tree.left)
    visited = [tree.left.position]

    for i in range(1024):
        is_right = bool(tree.direction > 0)
        tree, has_ended = grow(gaussian, IDENTITY, step_size, tree, Chances(*numbers[i]), 10)
        end = tree.right if is_right else tree.left
        visited.append(end.position)
        assert bool(has_ended) == naive.add(end.momentum, is_right=is_right)
        if has_ended:
            break

    assert tree.num_leapfrogs == i + 1
    candidate = tree.whole.candidate
    assert any(torch.equal(candidate.position, position) for position in visited)
    torch.testing.assert_close(candidate.log_density, gaussian(candidate.position).log_density)
    torch.testing.assert_close(candidate.gradient, gaussian(candidate.position).gradient)


def test_states_of_a_doubling_are_drawn_by_weight() -> None:
    position, momentum = torch.tensor([0.5, 0.2]).double(), torch.tensor([0.3, 1.0]).double()
    here = Candidate(position, *gaussian(position), torch.zeros(()).double())
    step_size = torch.tensor(0.8).double()
    generator = torch.Generator().manual_seed(0)
    counts: dict[float, int] = {}
    weights: dict[float, float] = {}

    for _ in range(1000):
        numbers = torch.rand(4, 3, generator=generator, dtype=torch.float64)
        # To the right at first, then to the right again, so that there are always the same three states.
        numbers[:, 2] = 0.9
        tree = plant(IDENTITY, here, momentum, numbers[3, 2], 4)
        for i in range(3):
            tree, _ = grow(gaussian, IDENTITY, step_size, tree, Chances(*numbers[i]), 4)
            if i == 2:
                key = round(float(tree.half.candidate.position[0]), 6)
                counts[key] = counts.get(key, 0) + 1
                weights[key] = math.exp(float(tree.half.candidate.log_weight))

    assert len(counts) == 2
    for key, weight in weights.items():
        share = weight / sum(weights.values())
        error = math.sqrt(share * (1 - share) / 1000)
        assert abs(counts[key] / 1000 - share) < 4 * error


def test_the_tree_is_no_deeper_than_told() -> None:
    trace = pair.simulate()

    _, info = nuts(trace, ALL, step_size=1e-4, max_tree_depth=4)

    assert info.tree_depth == 4
    assert info.num_leapfrogs == 15


def test_one_doubling_is_possible() -> None:
    _, info = nuts(pair.simulate(), ALL, step_size=1e-4, max_tree_depth=1)

    assert info.num_leapfrogs == 1


def test_a_step_that_is_far_too_large_diverges_and_stays() -> None:
    trace = pair.simulate()

    new, info = nuts(trace, ALL, step_size=1e4)

    assert info.diverging
    assert info.num_leapfrogs == 1
    torch.testing.assert_close(new.choices["x"], trace["x"])


def test_what_is_not_selected_stays() -> None:
    trace = pair.simulate()

    new, _ = nuts(trace, select("x", "z"), step_size=0.3)

    assert new["w"] is trace["w"]


def test_staged_and_eager_transitions_agree() -> None:
    torch.manual_seed(0)
    trace = pair.simulate()
    kernel = partial(nuts, selection=ALL, step_size=0.4, max_tree_depth=5)
    staged = jit(kernel, backend="graph")

    for seed in range(3):
        torch.manual_seed(seed)
        expected, info = kernel(trace)
        torch.manual_seed(seed)
        found, other = staged(trace)
        torch.testing.assert_close(found.score, expected.score)
        torch.testing.assert_close(other, info)


def test_a_staged_batch_of_loops_is_refused() -> None:
    traces = batch(pair.simulate, size=2)()
    kernel: Any = batch(partial(nuts, selection=ALL, step_size=0.4))

    with pytest.raises(StagedBatchError, match=r"cannot be compiled in a batch.*adaptive_nuts"):
        jit(kernel, backend="graph")(traces)


@pytest.mark.parametrize("step_size", [0.0, -0.1])
def test_a_step_size_that_is_not_positive_is_refused(step_size: float) -> None:
    with pytest.raises(StepSizeError, match="Expected `step_size` to be a positive number, but got"):
        nuts(pair.simulate(), ALL, step_size=step_size)


def test_no_doubling_is_refused() -> None:
    with pytest.raises(CountError, match="Expected `max_tree_depth` to be an integer of at least 1"):
        nuts(pair.simulate(), ALL, step_size=0.1, max_tree_depth=0)
