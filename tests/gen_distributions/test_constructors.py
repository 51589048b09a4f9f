from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributions as td
from scipy import stats

import gen_distributions as g
from gen_core import ParameterError
from gen_core.testing import check_samples
from gen_distributions import (
    ComponentError,
    ValueKindError,
    heterogeneous_mixture,
    homogeneous_mixture,
    product,
    relabelled,
    transformed,
)

SHIFTED_EXP = td.ComposeTransform([td.ExpTransform(), td.AffineTransform(1.0, 2.0)])
LOCS = torch.tensor([-1.0, 2.0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: transformed(g.normal, td.ExpTransform()),
        lambda: transformed(g.normal, td.AffineTransform(1.0, 2.0)),
        lambda: relabelled(g.categorical, ["a", "b"]),
        lambda: product(g.normal, g.gamma),
        lambda: homogeneous_mixture(g.normal),
        lambda: heterogeneous_mixture(g.uniform, g.beta),
    ],
)
def test_equal_parts_give_equal_distributions(make: Any) -> None:
    assert make() == make()
    assert hash(make()) == hash(make())


def test_different_parts_give_different_distributions() -> None:
    assert transformed(g.normal, td.AffineTransform(1.0, 2.0)) != transformed(
        g.normal, td.AffineTransform(1.0, 3.0)
    )
    assert relabelled(g.categorical, ["a", "b"]) != relabelled(g.categorical, ["a", "c"])
    assert product(g.normal, g.gamma) != product(g.gamma, g.normal)


@pytest.mark.parametrize(
    ("distribution", "args"),
    [
        (transformed(g.normal, SHIFTED_EXP), (0.3, 0.7)),
        (transformed(g.uniform, td.AffineTransform(1.0, -2.0)), (0.3, 0.7)),
        (transformed(g.multivariate_normal, td.StickBreakingTransform()), (torch.zeros(2), torch.eye(2))),
        (transformed(g.multivariate_normal, td.ExpTransform()), (torch.zeros(2), 0.3 * torch.eye(2))),
        (relabelled(g.categorical, ["a", "b", "a"]), ([0.2, 0.3, 0.5],)),
        (product(g.poisson, g.bernoulli), ((2.0,), (0.3,))),
        (homogeneous_mixture(g.normal), ([0.3, 0.7], LOCS, 0.5)),
        (homogeneous_mixture(g.poisson), ([0.3, 0.7], torch.tensor([2.0, 9.0]))),
        (homogeneous_mixture(g.normal), ([0.3, 0.7], 0.0, 0.5)),
        (
            homogeneous_mixture(g.multivariate_normal),
            ([0.3, 0.7], torch.tensor([[0.0, 0.0], [2.0, 2.0]]), torch.eye(2)),
        ),
        (heterogeneous_mixture(g.uniform, g.beta), ([0.2, 0.8], (0.0, 1.0), (2.0, 5.0))),
        (heterogeneous_mixture(g.poisson, g.geometric), ([0.2, 0.8], (3.0,), (0.5,))),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_samples_follow_the_density(distribution: Any, args: tuple[Any, ...]) -> None:
    check_samples(distribution, *args, num_samples=2000)


def test_transformed_density_divides_by_the_slope() -> None:
    distribution = transformed(g.normal, SHIFTED_EXP)

    reference = stats.lognorm(0.7, loc=1, scale=2 * math.exp(0.3))
    assert float(distribution.log_prob(torch.tensor(2.0), 0.3, 0.7)) == pytest.approx(
        reference.logpdf(2.0), rel=1e-5
    )
    assert distribution.log_prob(torch.tensor(0.5), 0.3, 0.7) == -math.inf


def test_transformed_support_is_the_image() -> None:
    support = transformed(g.uniform, td.AffineTransform(1.0, -2.0)).support(0.0, 1.0)

    assert support.check(torch.tensor([-1.5, -0.5, 0.5, 1.5])).tolist() == [False, True, True, False]
    unconstrained = td.biject_to(support)
    assert bool(support.check(unconstrained(torch.linspace(-5, 5, 11))).all())


def test_values_outside_the_image_leave_other_gradients_finite() -> None:
    values = torch.tensor([2.0, 0.5, -3.0], requires_grad=True)
    loc = torch.tensor(0.3, requires_grad=True)
    log_prob = transformed(g.normal, SHIFTED_EXP).family.log_prob(values, loc, 0.7)
    log_prob[0].backward()

    assert log_prob[1:].tolist() == [-math.inf, -math.inf]
    assert values.grad is not None and loc.grad is not None
    assert bool(values.grad.isfinite().all()) and bool(loc.grad.isfinite())


def test_transformed_refuses_what_has_no_density() -> None:
    with pytest.raises(ComponentError, match="needs a continuous distribution"):
        transformed(g.poisson, td.ExpTransform())
    with pytest.raises(ComponentError, match="needs a bijection"):
        transformed(g.normal, td.AbsTransform())
    with pytest.raises(ComponentError, match="needs a distribution over events of 1 dimensions"):
        transformed(g.normal, td.StickBreakingTransform())


def test_transformed_is_reparameterised_where_the_base_is() -> None:
    loc = torch.tensor(0.3, requires_grad=True)
    sample = transformed(g.normal, td.ExpTransform()).rsample(loc, 0.0)
    sample.backward()

    assert loc.grad == sample
    assert not transformed(g.von_mises, td.ExpTransform()).has_rsample


def test_relabelled_values_are_labels() -> None:
    weather = relabelled(g.categorical, ["sun", "rain", "sun"])

    assert weather.sample([0.0, 1.0, 0.0]) == "rain"
    assert float(weather.log_prob("sun", [0.2, 0.3, 0.5])) == pytest.approx(math.log(0.7))
    assert weather.log_prob("snow", [0.2, 0.3, 0.5]) == -math.inf
    assert weather.enumerate_support([0.2, 0.3, 0.5]) == ["sun", "rain"]
    assert weather.simulate([0.0, 1.0, 0.0]).retval == "rain"
    assert bool(weather.support([0.2, 0.3, 0.5]).check("sun"))


def test_relabelled_takes_labels_by_value() -> None:
    size = relabelled(g.uniform_discrete, {2: "small", 3: "large"})

    assert float(size.log_prob("large", 2, 3)) == pytest.approx(math.log(0.5))
    with pytest.raises(ComponentError, match=r"has no label for 4, only for \[2, 3\]"):
        size.enumerate_support(2, 4)


def test_relabelled_refuses_what_is_no_label() -> None:
    with pytest.raises(ComponentError, match="over finitely many integers"):
        relabelled(g.poisson, ["a"])
    with pytest.raises(ComponentError, match=r"hashable labels, but got \[1\]"):
        relabelled(g.categorical, [[1]])  # type: ignore[type-var]
    with pytest.raises(ValueKindError, match="one of its labels"):
        relabelled(g.categorical, ["a"]).log_prob([], [1.0])  # type: ignore[arg-type]
    with pytest.raises(ComponentError, match="draws one label"):
        relabelled(g.bernoulli, ["a", "b"]).sample(torch.tensor([0.5, 0.5]))


def test_product_values_are_tuples() -> None:
    pair = product(g.normal, g.gamma)
    x, y = pair.sample((0.0, 1.0), (2.0, 3.0))
    expected = g.normal.log_prob(x, 0.0, 1.0) + g.gamma.log_prob(y, 2.0, 3.0)

    torch.testing.assert_close(pair.log_prob((x, y), (0.0, 1.0), (2.0, 3.0)), expected)
    assert pair.log_prob((0.0, -1.0), (0.0, 1.0), (2.0, 3.0)) == -math.inf  # type: ignore[arg-type]
    assert pair.has_rsample and not pair.is_discrete and not pair.is_enumerable
    assert bool(pair.support((0.0, 1.0), (2.0, 3.0)).check((x, y)))


def test_product_sums_over_the_elements_of_each_component() -> None:
    pair = product(g.normal, g.gamma)
    value = pair.sample((torch.zeros(3), 1.0), (2.0, 3.0))
    score = pair.log_prob(value, (torch.zeros(3), 1.0), (2.0, 3.0))

    expected = g.normal.log_prob(value[0], torch.zeros(3), 1.0) + g.gamma.log_prob(value[1], 2.0, 3.0)
    torch.testing.assert_close(score, expected)


def test_product_enumerates_combinations() -> None:
    pair = product(g.bernoulli, g.categorical)
    values = pair.enumerate_support((0.5,), ([0.5, 0.5],))

    assert [(int(a), int(b)) for a, b in values] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_product_refuses_parts_that_do_not_fit() -> None:
    with pytest.raises(ComponentError, match="all discrete or all continuous"):
        product(g.normal, g.poisson)
    with pytest.raises(
        ComponentError, match="takes 2 tuples of arguments, one for each component, but got 1"
    ):
        product(g.normal, g.gamma).family.sample((0.0, 1.0))  # type: ignore[call-arg]
    with pytest.raises(ValueKindError, match="a tuple of 2 values"):
        product(g.normal, g.gamma).log_prob(1.0, (0.0, 1.0), (2.0, 3.0))
    with pytest.raises(
        ParameterError, match=r"Expected `normal_2` of .* to be arguments whose `scale` is positive"
    ):
        product(g.normal, g.normal).log_prob((0.0, 0.0), (0.0, 1.0), (0.0, -1.0))  # type: ignore[arg-type]


def test_homogeneous_mixture_is_torchs() -> None:
    ours = homogeneous_mixture(g.normal)
    theirs = td.MixtureSameFamily(td.Categorical(torch.tensor([0.3, 0.7])), td.Normal(LOCS, 0.5))
    values = torch.linspace(-3.0, 4.0, 8)

    torch.testing.assert_close(ours.family.log_prob(values, [0.3, 0.7], LOCS, 0.5), theirs.log_prob(values))


def test_homogeneous_mixture_draws_one_value_for_each_element_of_the_batch() -> None:
    probs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    torch.manual_seed(0)
    sample = homogeneous_mixture(g.normal).sample(probs, LOCS, 1e-3)

    torch.testing.assert_close(sample, torch.tensor([-1.0, 2.0, 2.0]), atol=0.01, rtol=0.0)


def test_homogeneous_mixture_batches() -> None:
    mixture = homogeneous_mixture(g.normal).family
    sampler = torch.func.vmap(lambda loc: mixture.sample([0.5, 0.5], loc, 0.1), randomness="different")
    locs = torch.randn(5, 2)
    samples = sampler(locs)
    stacked = mixture.log_prob(samples, [0.5, 0.5], locs, torch.full((5, 1), 0.1))

    mapped = torch.func.vmap(lambda value, loc: mixture.log_prob(value, [0.5, 0.5], loc, 0.1))(samples, locs)
    torch.testing.assert_close(mapped, stacked)


def test_a_component_of_weight_zero_has_the_right_gradient() -> None:
    probs = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    homogeneous_mixture(g.normal).family.log_prob(torch.tensor(1.9), probs, LOCS, 0.5).backward()

    density = np.asarray(stats.norm(LOCS.numpy(), 0.5).pdf(1.9))
    # log(p1 a + p2 b) - log(p1 + p2) at p = (1, 0).
    assert probs.grad is not None
    assert probs.grad.tolist() == pytest.approx([0.0, density[1] / density[0] - 1], rel=1e-5)


def test_a_mixture_component_that_excludes_the_value_gives_finite_gradients() -> None:
    mixture = heterogeneous_mixture(g.normal, g.gamma)
    value = torch.tensor(-1.0, requires_grad=True)
    concentration = torch.tensor(2.0, requires_grad=True)
    log_prob = mixture.family.log_prob(value, [0.5, 0.5], (0.0, 1.0), (concentration, 1.0))
    log_prob.backward()

    assert log_prob.item() == pytest.approx(math.log(0.5) + stats.norm.logpdf(-1.0))
    assert value.grad == 1.0
    assert concentration.grad == 0.0


def test_mixtures_enumerate_the_union() -> None:
    homogeneous = homogeneous_mixture(g.binomial).enumerate_support([0.5, 0.5], torch.tensor([1, 3]), 0.5)
    heterogeneous = heterogeneous_mixture(g.categorical, g.binomial).enumerate_support(
        [0.5, 0.5], ([0.5, 0.5],), (2, 0.5)
    )

    assert [int(value) for value in homogeneous] == [0, 1, 2, 3]
    assert [int(value) for value in heterogeneous] == [0, 1, 2]


def test_mixture_supports_are_unions() -> None:
    mixture = homogeneous_mixture(g.uniform)
    support = mixture.support([0.5, 0.5], torch.tensor([0.0, 2.0]), torch.tensor([1.0, 3.0]))

    assert support.check(torch.tensor([0.5, 1.5, 2.5])).tolist() == [True, False, True]
    assert homogeneous_mixture(g.normal).support([0.5, 0.5], LOCS, 1.0) is td.constraints.real


def test_mixtures_refuse_parts_that_do_not_fit() -> None:
    with pytest.raises(ComponentError, match="all discrete or all continuous"):
        heterogeneous_mixture(g.normal, g.poisson)
    with pytest.raises(ParameterError, match=r"Expected `weights` of .* to be nonnegative with a positive"):
        homogeneous_mixture(g.normal).log_prob(torch.tensor(0.0), [-0.5, 1.5], LOCS, 1.0)
    with pytest.raises(ParameterError, match=r"Expected `scale` of .* to be positive"):
        homogeneous_mixture(g.normal).log_prob(torch.tensor(0.0), [0.5, 0.5], LOCS, torch.tensor([1.0, -1.0]))
    with pytest.raises(
        ParameterError, match=r"Expected `weights` of .* to be 2 weights, one for each component"
    ):
        heterogeneous_mixture(g.normal, g.gamma).log_prob(torch.tensor(0.0), [1.0], (0.0, 1.0), (1.0, 1.0))
