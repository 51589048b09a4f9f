"""The laws on custom deterministic functions, by themselves and in models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import CustomGradient, Recurse, deterministic, with_gradient
from gen_core import Call, verify_hints
from gen_core.testing import check_laws
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_torch.testing import check_staging

Number = Any
"""A tensor or a number."""


class Cubed(CustomGradient[..., Any, Any]):
    """Values and arguments of several parts, and a state that the gradient uses."""

    def execute(self, x: Number, k: Number = 2.0, *, by: Number = 1.0) -> Any:
        x, k, by = map(torch.as_tensor, (x, k, by))
        square = (x * x).detach()
        return (square * x.detach() * k.detach() * by.detach(), [x.detach().sum(), 3]), {"square": square}

    def gradient(self, args: tuple[Any, ...], retval: Any, retgrad: Any, state: Any) -> Any:
        x, k, by = args
        g, (of_sum, _) = retgrad
        cube = state["square"] * x
        return 3 * state["square"] * k * by * g + of_sum, (cube * by * g).sum(), (cube * k * g).sum()


cubed = Cubed()


@deterministic
def squared_distance(a: Number, b: Number = 1.0) -> Tensor:
    difference: Tensor = torch.as_tensor(a) - b
    return difference.square()


softplus = with_gradient(
    lambda x: torch.as_tensor(x).detach().exp().log1p(), lambda args, value, g: [torch.sigmoid(args[0]) * g]
)


@gen
def through_a_gradient(mean: Number) -> Tensor:
    x = normal(torch.zeros(3) + mean, 1.0) @ "x"
    y, (of_x, _) = cubed(x, by=mean) @ "y"
    normal(0.1 * y, softplus(mean) @ ("scale", 0)) @ "z"
    sum_of_both: Tensor = of_x + squared_distance(mean) @ "distance"
    return sum_of_both


@gen
def appears(p: float) -> object:
    if bernoulli(p) @ "there":
        return squared_distance(0.5, 2.0) @ "it"
    return bernoulli(0.3) @ "it"


@gen
def split(depth: int) -> tuple[Tensor, list[int]]:
    return normal(0.0, 1.0) @ "x", [depth - 1] * depth


sums = Recurse(split, deterministic(lambda value, results: value + sum(results)), 2)

ROWS: dict[str, Callable[[], list[Call[Any]]]] = {
    "cubed": lambda: [cubed(torch.arange(3.0)), cubed(torch.ones(3), 3.0, by=torch.tensor(4.0))],
    "distance": lambda: [squared_distance(0.3), squared_distance(torch.tensor(1.5), 2.0)],
    "softplus": lambda: [softplus(torch.tensor(0.3)), softplus(-1.0)],
    "through_a_gradient": lambda: [through_a_gradient(0.5), through_a_gradient(torch.tensor(0.7))],
    "sums": lambda: [sums(2), sums(1)],
}


@pytest.mark.parametrize("name", ROWS)
def test_custom_functions_keep_the_laws(name: str) -> None:
    call, *others = ROWS[name]()

    check_laws(call, other_calls=others)


def test_custom_functions_that_come_and_go_keep_the_laws() -> None:
    check_laws(appears(0.4), other_calls=[appears(0.7)], finite=True)


@pytest.mark.parametrize("name", ROWS)
def test_staged_custom_functions_return_what_eager_ones_return(name: str) -> None:
    check_staging(ROWS[name]()[0])


def test_the_hints_of_custom_functions_are_true() -> None:
    call, *others = ROWS["through_a_gradient"]()

    with verify_hints():
        check_laws(call, other_calls=others, laws=[1, 3, 8])
