from __future__ import annotations

import enum
import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, exp

from gen_core import Distribution, ParameterError
from gen_core.testing import check_samples
from gen_distributions import (
    DistBodyError,
    bernoulli,
    binomial,
    categorical,
    dist,
    gamma,
    inverse_gamma,
    multivariate_normal,
    normal,
    poisson,
    uniform,
    uniform_discrete,
)

OFFSET = 3.0


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dist
def shifted(mu: float, sigma: float = 1.0, *, shift: float = 0.5) -> Tensor:
    """A docstring is fine."""
    spread = sigma * 1.0
    x = normal.sample(mu, spread)
    scaled: Tensor = torch.exp(x) * 2
    return scaled + shift - OFFSET


@dist
def inverse(a: float, b: float) -> Tensor:
    return 1 / gamma(a, b).sample()


@dist
def odd(rate: float) -> Tensor:
    return 2 * poisson.sample(rate) + 1


@dist
def weather(p_rain: float) -> str:
    return ["sun", "rain"][bernoulli.sample(p_rain)]


@dist
def color(probs: list[float]) -> Color:
    return Color(categorical.sample(probs) + 1)


@dist
def looked_up(table: dict[int, str]) -> str:
    return table[uniform_discrete.sample(1, 3)]  # type: ignore[index]


@dist
def negated_log(rate: float) -> Tensor:
    return -math.log(gamma.sample(2.0, rate))  # type: ignore[return-value]


@dist
def method_calls(mu: float) -> Tensor:
    return (1.5 - normal.sample(mu, 1.0)).exp()


@dist
def squared(a: float) -> Tensor:
    return gamma.sample(a, 1.0) ** 2


@dist
def powers_of_two(rate: float) -> Tensor:
    return 2 ** poisson.sample(rate)


@dist
def power_of_base(base: float) -> Tensor:
    return base ** normal.sample(0.0, 1.0)


@dist
def quotient(scale: float) -> Tensor:
    return +uniform.sample(0.0, 1.0) / scale


@dist
def coin(p: float) -> Tensor:
    return 2 * bernoulli.sample(p) - 1


@dist
def scaled_vector(scale: float) -> Tensor:
    return exp(multivariate_normal.sample([0.0, 0.0], [[1.0, 0.3], [0.3, 1.0]]) * scale)


@pytest.mark.parametrize(
    ("distribution", "args"),
    [
        (shifted, (0.3, 0.7)),
        (inverse, (2.0, 3.0)),
        (odd, (3.0,)),
        (weather, (0.3,)),
        (color, ([0.3, 0.7],)),
        (looked_up, ({1: "a", 2: "b", 3: "a"},)),
        (negated_log, (1.5,)),
        (method_calls, (0.3,)),
        (squared, (2.0,)),
        (powers_of_two, (2.0,)),
        (power_of_base, (1.7,)),
        (quotient, (-2.0,)),
        (coin, (0.3,)),
        (scaled_vector, (0.5,)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_samples_follow_the_density(distribution: Any, args: tuple[Any, ...]) -> None:
    check_samples(distribution, *args, num_samples=2000)


@pytest.mark.parametrize(
    ("distribution", "value", "args", "expected"),
    [
        (shifted, 1.5, (0.3, 0.7), stats.lognorm(0.7, loc=0.5 - OFFSET, scale=2 * math.exp(0.3)).logpdf(1.5)),
        (inverse, 0.7, (2.0, 3.0), float(inverse_gamma.log_prob(torch.tensor(0.7), 2.0, 3.0))),
        (odd, 5, (3.0,), stats.poisson(3).logpmf(2)),
        (odd, 4, (3.0,), -math.inf),
        (odd, -1, (3.0,), -math.inf),
        (weather, "rain", (0.2,), math.log(0.2)),
        (weather, "snow", (0.2,), -math.inf),
        (color, Color.RED, ([0.1, 0.9],), math.log(0.1)),
        (looked_up, "a", ({1: "a", 2: "b", 3: "a"},), math.log(2 / 3)),
        (squared, 4.0, (2.0,), stats.gamma(2).logpdf(2) - math.log(4)),
        (squared, -4.0, (2.0,), -math.inf),
        (powers_of_two, 8, (2.0,), stats.poisson(2).logpmf(3)),
        (powers_of_two, 6, (2.0,), -math.inf),
        (coin, -1, (0.3,), math.log(0.7)),
        (coin, 0, (0.3,), -math.inf),
        (quotient, -0.2, (-2.0,), math.log(2)),
        (quotient, 0.2, (-2.0,), -math.inf),
    ],
)
def test_density_is_that_of_the_draw(
    distribution: Any, value: Any, args: tuple[Any, ...], expected: float
) -> None:
    assert float(distribution.log_prob(value, *args)) == pytest.approx(expected, rel=1e-5)


def test_it_declares_what_it_is() -> None:
    assert not shifted.is_discrete and shifted.has_rsample and not shifted.is_enumerable
    assert odd.is_discrete and not odd.is_enumerable
    assert weather.is_enumerable and weather.enumerate_support(0.3) == ["sun", "rain"]
    assert [int(value) for value in coin.enumerate_support(0.3)] == [-1, 1]
    assert scaled_vector.family.event_dim == 1
    assert shifted.name == "shifted"
    assert list(shifted.signature.parameters) == ["mu", "sigma", "shift"]


def test_support_is_the_image() -> None:
    assert shifted.support(0.3).check(torch.tensor([-4.0, -2.0])).tolist() == [False, True]
    assert odd.support(3.0).check(torch.tensor([1, 2, -1])).tolist() == [True, False, False]


def test_values_have_the_dtype_that_is_drawn() -> None:
    assert odd.sample(3.0).dtype == odd.family.convert(3, 3.0).dtype == torch.int64
    assert coin.sample(0.5).dtype == torch.int64
    assert shifted.sample(torch.tensor(0.0, dtype=torch.float64)).dtype == torch.float64  # type: ignore[arg-type]


def test_gradients_flow_through_every_part() -> None:
    mu = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    value = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    shift = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def score(*inputs: Tensor) -> Tensor:
        return shifted.family.log_prob(inputs[0], inputs[1], inputs[2], shift=inputs[3])  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(score, [value, mu, sigma, shift])


def scaled_by(scale: float) -> Distribution[[float], Tensor]:
    @dist
    def scaled(mu: float) -> Tensor:
        return normal.sample(mu, 1.0) * scale

    return scaled


def test_functions_are_equal_if_what_they_capture_is() -> None:
    assert scaled_by(2.0) == scaled_by(2.0)
    assert hash(scaled_by(2.0)) == hash(scaled_by(2.0))
    assert scaled_by(2.0) != scaled_by(3.0)
    assert float(scaled_by(2.0).log_prob(torch.tensor(0.0), 0.0)) == pytest.approx(
        stats.norm(0, 2).logpdf(0.0)
    )


def test_bad_parameters_name_the_function_s_own() -> None:
    with pytest.raises(ParameterError, match="Expected `a` of inverse to be positive"):
        inverse.log_prob(torch.tensor(1.0), -1.0, 1.0)
    with pytest.raises(ParameterError, match="of shifted to be such that `scale` of normal is positive"):
        shifted.log_prob(torch.tensor(1.0), 0.0, -1.0)


def two_draws(a: float) -> Tensor:
    return normal.sample(a, 1.0) + normal.sample(a, 2.0)


def no_draw(a: float) -> float:
    return a


def sine(a: float) -> Tensor:
    return torch.sin(normal.sample(a, 1.0))


def branch(a: float) -> Tensor:
    if a > 0:
        return normal.sample(a, 1.0)
    return normal.sample(-a, 1.0)


def twice(a: float) -> Tensor:
    x = normal.sample(a, 1.0)
    return x + x


def log_of_negative(a: float) -> Tensor:
    return torch.log(normal.sample(a, 1.0))


def square_of_negative(a: float) -> Tensor:
    return normal.sample(a, 1.0) ** 2


def infinite_labels(a: float) -> str:
    return ["a"][poisson.sample(a)]


def nested(a: float) -> Tensor:
    return normal.sample(normal.sample(a, 1.0), 1.0)


def conditional(a: float) -> Tensor:
    return normal.sample(a, 1.0) if a else torch.zeros(())


def ignored(a: float) -> float:
    x = normal.sample(a, 1.0)  # noqa: F841
    return a


def more_than_labels(a: float) -> str:
    return ["a", "b"][bernoulli.sample(a)] + "c"


def square_of_count(a: float) -> Tensor:
    return binomial.sample(3, a) ** 2


def unpacked(a: float) -> Tensor:
    x, _ = normal.sample(a, 1.0), 1
    return x


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (two_draws, "both operands depend on a random value"),
        (no_draw, "there is no random call"),
        (sine, "`torch.sin` cannot be applied"),
        (branch, "only assignments to a name may come before"),
        (twice, "both operands depend on a random value"),
        (log_of_negative, r"log\(x\) needs a positive random value"),
        (square_of_negative, "needs a positive random value"),
        (infinite_labels, "labels need a distribution over finitely many integers, not poisson"),
        (nested, "a random value is a parameter of another random call"),
        (conditional, "only \\+, -, "),
        (ignored, "what is returned does not depend on the random call"),
        (more_than_labels, "nothing can be applied to a label"),
        (square_of_count, "a power of a discrete random value"),
        (unpacked, "only assignments to a name may come before"),
    ],
)
def test_other_bodies_are_refused_with_file_and_line(function: Any, why: str) -> None:
    line = function.__code__.co_firstlineno

    with pytest.raises(DistBodyError, match=why) as error:
        dist(function)
    assert f"cannot read {function.__name__} (" in str(error.value)
    found = int(str(error.value).split("test_dist.py:")[1].split(")")[0])
    assert line <= found <= line + 4


def test_a_function_without_source_is_refused() -> None:
    namespace: dict[str, Any] = {"normal": normal}
    exec("def made(a):\n    return normal.sample(a, 1.0)", namespace)

    with pytest.raises(DistBodyError, match="its source code cannot be found"):
        dist(namespace["made"])
    with pytest.raises(DistBodyError, match="only a function written with `def`"):
        dist(lambda a: normal.sample(a, 1.0))
