from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import gen_distributions as g
from gen_core import Distribution
from gen_core.testing import check_samples


@dataclass(frozen=True)
class Wrong:
    """A family with another one's sampler, at changed parameters."""

    right: Any
    shift: float
    log_prob_of_numbers = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.right, name)

    def sample(self, first: Any, second: Any = None) -> Tensor:
        rest = () if second is None else (second,)
        changed = torch.as_tensor(first) + self.shift
        return self.right.sample(changed, *rest)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("distribution", "args", "shift"),
    [
        (g.normal, (0.0, 1.0), 0.15),
        (g.exponential, (1.0,), 0.15),
        (g.cauchy, (0.0, 1.0), 0.3),
        (g.beta, (0.5, 0.5), 0.1),
        (g.uniform, (0.0, 1.0), 0.05),
        (g.poisson, (3.0,), 0.3),
        (g.bernoulli, (0.3,), 0.06),
        (g.geometric, (0.3,), 0.03),
        (g.categorical, (torch.tensor([0.2, 0.3, 0.5]),), 0.3),
        (g.multivariate_normal, (torch.zeros(2), torch.eye(2)), 0.2),
        (g.dirichlet, (torch.tensor([2.0, 3.0, 1.0]),), 0.3),
        (g.wishart, (3.5, torch.eye(2)), 0.5),
    ],
)
def test_a_wrong_sampler_is_found(distribution: Any, args: tuple[Any, ...], shift: float) -> None:
    wrong: Distribution[..., Any] = Distribution(Wrong(distribution.family, shift))

    check_samples(distribution, *args)
    with pytest.raises(
        AssertionError, match=f"(?s)samples of {distribution.name}.* do not follow its density"
    ):
        check_samples(wrong, *args)


def test_a_density_that_is_not_normalised_is_found() -> None:
    @dataclass(frozen=True)
    class Doubled:
        right: Any = g.normal.family
        log_prob_of_numbers = None

        def __getattr__(self, name: str) -> Any:
            return getattr(self.right, name)

        def sample(self, loc: float, scale: float) -> Tensor:
            return self.right.sample(loc, scale)  # type: ignore[no-any-return]

        def log_prob(self, value: Tensor, loc: float, scale: float) -> Tensor:
            return self.right.log_prob(value, loc, scale) + 0.2  # type: ignore[no-any-return]

    doubled: Distribution[..., Any] = Distribution(Doubled())

    with pytest.raises(AssertionError, match="do not follow its density"):
        check_samples(doubled, 0.0, 1.0)


def test_a_distribution_function_can_be_given() -> None:
    check_samples(g.normal, 0.0, 1.0, cdf=torch.special.ndtr)
    with pytest.raises(AssertionError, match="do not follow its density"):
        check_samples(g.normal, 0.2, 1.0, cdf=torch.special.ndtr)


def test_the_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(())
    torch.manual_seed(3)
    check_samples(g.normal, 0.0, 1.0, num_samples=500)

    assert torch.rand(()) == expected


def test_parameters_of_several_events_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs parameters of one event of normal, .* shape \(3,\)"):
        check_samples(g.normal, torch.zeros(3), 1.0)


def test_numbers_that_are_scored_otherwise_than_tensors_are_found() -> None:
    @dataclass(frozen=True)
    class Shifted:
        right: Any

        def __getattr__(self, name: str) -> Any:
            return getattr(self.right, name)

        def log_prob_of_numbers(self, value: float, /, loc: float, scale: float) -> float:
            return self.right.log_prob_of_numbers(value, loc, scale) + 0.01  # type: ignore[no-any-return]

    with pytest.raises(AssertionError, match="log_prob_of_numbers of normal"):
        check_samples(Distribution(Shifted(g.normal.family)), 0.5, 2.0)
