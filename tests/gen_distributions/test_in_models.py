"""Choices in a model are scored together, on stacked arguments: each must still get its own score."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributions as td

import gen_distributions as g
from gen_core import Call, Distribution
from gen_distributions import dist, from_torch, homogeneous_mixture, transformed
from gen_dml import gen


def assert_scores_are_its_own(calls: list[Call[Any]]) -> None:
    @gen
    def model() -> None:
        for i, call in enumerate(calls):
            call @ i

    torch.manual_seed(0)
    trace = model.simulate()

    expected = [call.gen_fn.log_prob(trace[i], *call.args, **call.kwargs) for i, call in enumerate(calls)]  # type: ignore[attr-defined]
    scores = torch.stack([trace.subtrace(i).score for i in range(len(calls))])
    torch.testing.assert_close(scores.float(), torch.stack(expected).float())


def test_choices_of_every_distribution_get_their_own_score(case: Any) -> None:
    assert_scores_are_its_own([case.distribution(*arguments) for arguments in variations(case)])


def test_choices_of_every_distribution_with_python_numbers_get_their_own_score(case: Any) -> None:
    assert_scores_are_its_own([case.distribution(*case.args)] * 3)


def variations(case: Any) -> list[tuple[Any, ...]]:
    """Return the row's parameters as tensors, and twice more with slightly larger positive ones."""
    factors = (1.0, 1.01, 1.02)
    matrices = ("multivariate_normal", "wishart")
    return [
        tuple(
            value * factor
            if isinstance(value, torch.Tensor) and case.distribution.name not in matrices
            else value
            for value in case.parameters(torch.float32)
        )
        for factor in factors
    ]


MIXTURE = homogeneous_mixture(g.normal)


@dist
def picked(locs: torch.Tensor, k: int) -> torch.Tensor:
    return g.normal.sample(locs[k], 1.0) * locs.sum()


@pytest.mark.parametrize(
    ("distribution", "arguments"),
    [
        (MIXTURE, [(torch.tensor([0.3, 0.7]), torch.tensor([-1.0, 1.0]), s) for s in (0.5, 1.0)]),
        (
            MIXTURE,
            [(torch.tensor([0.3, 0.7]), torch.tensor([-1.0, 1.0]), torch.tensor(s)) for s in (0.5, 1.0)],
        ),
        (MIXTURE, [([0.3, 0.7], torch.tensor([-1.0, 1.0]), s) for s in (0.5, 1.0)]),
        (transformed(g.normal, td.ExpTransform()), [(0.3, 1.0), (0.5, 2.0)]),
        (picked, [(torch.tensor([1.0, 2.0]), 0), (torch.tensor([3.0, 5.0]), 1)]),
        (picked, [(torch.tensor([1.0, 2.0]), 0), (torch.tensor([3.0, 5.0]), 0)]),
        (from_torch(td.Normal), [(0.3, 1.0), (0.5, 2.0)]),
        (from_torch(td.Multinomial), [(3, torch.tensor([0.3, 0.7])), (3, torch.tensor([0.5, 0.5]))]),
    ],
)
def test_choices_of_constructed_distributions_get_their_own_score(
    distribution: Distribution[..., Any], arguments: list[tuple[Any, ...]]
) -> None:
    assert_scores_are_its_own([distribution(*given) for given in arguments])


def test_a_batched_choice_of_a_dist_function_can_be_constrained() -> None:
    @dist
    def scaled(loc: torch.Tensor, scale: float) -> torch.Tensor:
        return g.normal.sample(loc * 2, 1.0) * scale

    generated = scaled.generate({(): torch.zeros(3)}, torch.zeros(3), 2.0)

    assert generated.weight == generated.trace.score
