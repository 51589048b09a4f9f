"""Finite choices of many elements, summed over or drawn: against sums that are written out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from gen_combinators import Map, shared
from gen_core import ANY, GenerativeFunction, GenWarning, Selection, Trace, batch, rows, select, vmap
from gen_distributions import bernoulli, categorical, normal, uniform_discrete
from gen_dml import gen
from gen_inflib import EnumerationError, cycle, gibbs, hmc, mcmc, random_walk, run_chain
from gen_inflib.marginalised import Marginalised
from gen_sml import static

NUM = 40
WEIGHTS = torch.tensor([0.5, 0.3, 0.2])
SHIFTS = torch.tensor([-2.0, 0.0, 3.0])


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@static
def point(x: Tensor, loc: Tensor) -> Tensor:
    z = categorical(WEIGHTS.to(loc.dtype)) @ "z"
    return normal(loc + SHIFTS.to(loc.dtype)[z] + x, 0.7) @ "y"


points, row_points = Map(point), vmap(point, in_dims=(0, None))


@gen
def by_map(xs: Tensor) -> None:
    loc = normal(0.0, 2.0) @ "loc"
    points(xs, shared(loc)) @ "points"


@gen
def by_vmap(xs: Tensor) -> None:
    loc = normal(0.0, 2.0) @ "loc"
    row_points(xs, loc) @ "points"


@gen
def by_tensors(xs: Tensor) -> None:
    loc = normal(0.0, 2.0) @ "loc"
    z = categorical(WEIGHTS.to(loc.dtype).expand(len(xs), 3)) @ "z"
    normal(loc + SHIFTS.to(loc.dtype)[z] + xs, 0.7) @ "y"


Model = tuple[GenerativeFunction[[Tensor], None], Callable[[Tensor], Any], Selection]
MODELS: dict[str, Model] = {
    "Map": (by_map, lambda ys: {"points": rows({"y": ys})}, select(("points", ANY, "z"))),
    "vmap": (by_vmap, lambda ys: {("points", "y"): ys}, select(("points", "z"))),
    "tensors": (by_tensors, lambda ys: {"y": ys}, select("z")),
}
of_every_model = pytest.mark.parametrize("name", MODELS)


def data(num: int = NUM) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    xs = torch.linspace(-1, 1, num)
    which = torch.randint(0, 3, (num,), generator=generator)
    return xs, 0.5 + xs + SHIFTS[which] + 0.7 * torch.randn(num, generator=generator)


def started(name: str) -> tuple[Trace[None], Selection]:
    model, observed, finite = MODELS[name]
    xs, ys = data()
    torch.manual_seed(4)
    return model.generate(observed(ys), xs).trace, finite


def conditional(loc: Tensor) -> Tensor:
    """Return log p(z_i = k, y_i | loc) for each element and value, shape `(n, 3)`."""
    xs, ys = data()
    loc = loc.double()
    means = loc + SHIFTS.double() + xs.unsqueeze(1)
    densities: Tensor = WEIGHTS.double().log() + Normal(means, 0.7).log_prob(ys.unsqueeze(1))
    return densities


def marginal(loc: Tensor) -> Tensor:
    density: Tensor = Normal(0.0, 2.0).log_prob(loc) + conditional(loc).logsumexp(1).sum()
    return density


@of_every_model
def test_choices_of_elements_are_summed_over_each_by_itself(name: str) -> None:
    trace, finite = started(name)
    view = Marginalised(trace, select("loc"), finite)

    for position in (torch.tensor([0.3]), torch.tensor([-1.7])):
        found = view.scored(position)
        expected = marginal(position[0])
        (gradient,) = torch.func.grad(marginal)(position[0]).reshape(1)
        torch.testing.assert_close(found.log_density, expected)
        torch.testing.assert_close(found.gradient, gradient.reshape(1))


@of_every_model
def test_choices_of_elements_are_drawn_each_from_its_conditional(name: str) -> None:
    trace, finite = started(name)
    expected = conditional(trace["loc"]).log_softmax(1)
    torch.manual_seed(5)

    drawn = []
    for _ in range(200):
        moved, info = gibbs(trace, finite)
        values = torch.stack([torch.as_tensor(v) for v in moved.choices.filter(finite).values()]).reshape(-1)
        torch.testing.assert_close(info.log_conditional, expected[torch.arange(NUM), values].sum())
        assert info.accepted and info.num_values == 4
        drawn.append(values)

    probs = expected.exp()
    counts = torch.nn.functional.one_hot(torch.stack(drawn), 3).double().sum(0)
    errors = (counts - 200 * probs) / (200 * probs * (1 - probs)).sqrt().clamp_min(0.5)
    assert errors.abs().max() < 5  # of 120 nearly independent counts


@of_every_model
def test_the_view_draws_what_it_summed_over(name: str) -> None:
    trace, finite = started(name)
    view = Marginalised(trace, select("loc"), finite)
    torch.manual_seed(6)

    expected = conditional(trace["loc"]).softmax(1)
    draws = []
    for _ in range(300):
        choices = view.refreshed(trace).choices.filter(finite)
        draws.append(torch.stack([torch.as_tensor(value) for value in choices.values()]).reshape(-1))

    means = torch.stack(draws).double().mean(0)
    exact = expected @ torch.arange(3.0)
    deviations = (expected @ torch.arange(3.0).square() - exact.square()).sqrt()
    assert ((means - exact).abs() < 5 * deviations / math.sqrt(300) + 1e-3).all()


@pytest.mark.parametrize(
    ("name", "run"),
    [*((name, "batched") for name in MODELS), pytest.param("Map", "compiled", marks=pytest.mark.slow)],
)
def test_chains_that_sum_over_elements_find_the_marginal_posterior(name: str, run: str) -> None:
    model, observed, finite = MODELS[name]
    xs, ys = data()
    kernel = partial(hmc, selection=select("loc"), step_size=0.15, num_leapfrogs=5, enumerate=finite)
    torch.manual_seed(7)

    chains = mcmc(
        model(xs),
        observed(ys),
        kernel,
        num_samples=150,
        num_warmup=50,
        num_chains=8,
        compile=run == "compiled",
    )

    grid = torch.linspace(-3, 3, 2001)
    weights = torch.stack([marginal(loc) for loc in grid]).softmax(0)
    expected = (weights * grid).sum()
    means = chains.draws["loc"].double().mean(1)
    assert (means.mean() - expected).abs() < 4 * means.std() / math.sqrt(8)
    assert len(set(means.tolist())) == 8


def test_gibbs_over_elements_mixes_with_other_kernels() -> None:
    model, observed, finite = MODELS["Map"]
    xs, ys = data()
    kernel = cycle(partial(gibbs, selection=finite), partial(random_walk, selection=select("loc"), scale=0.3))
    torch.manual_seed(8)

    chains = mcmc(model(xs), observed(ys), kernel, num_samples=150, num_warmup=50, num_chains=16)

    grid = torch.linspace(-3, 3, 2001)
    weights = torch.stack([marginal(loc) for loc in grid]).softmax(0)
    means = chains.draws["loc"].double().mean(1)
    assert (means.mean() - (weights * grid).sum()).abs() < 4 * means.std() / math.sqrt(16)


@pytest.mark.slow
def test_gibbs_over_elements_compiles() -> None:
    model, observed, finite = MODELS["Map"]
    xs, ys = data()
    kernel = partial(gibbs, selection=finite)

    with warnings.catch_warnings():
        warnings.simplefilter("error", GenWarning)  # not without a compiler
        chains = mcmc(model(xs), observed(ys), kernel, num_samples=20, num_chains=2, compile=True)

    values = torch.stack([chains.draws["points", i, "z"] for i in range(NUM)], -1)
    assert (values[:, 1:] != values[:, :-1]).any(1).any(0).sum() > NUM // 4


def test_some_elements_of_a_map_and_another_choice() -> None:
    @gen
    def model(xs: Tensor) -> None:
        is_high = bernoulli(0.3) @ "is_high"
        loc = normal(0.0, 2.0) @ "loc"
        points(xs, shared(loc + 2.0 * is_high)) @ "points"

    xs, ys = data()
    some = list(range(0, NUM, 2))
    trace = model.generate({"points": rows({"y": ys}), "loc": 0.1}, xs).trace
    finite = select("is_high", *[("points", i, "z") for i in some])
    view = Marginalised(trace, select("loc"), finite)

    loc = torch.tensor(0.1)
    expected = []
    for high, prob in ((0.0, 0.7), (1.0, 0.3)):
        joint = conditional(loc + 2.0 * high)
        kept = torch.stack([joint[i, trace["points", i, "z"]] for i in range(1, NUM, 2)]).sum()
        expected.append(math.log(prob) + joint[some].logsumexp(1).sum() + kept)
    total = torch.stack(expected).logsumexp(0) + Normal(0.0, 2.0).log_prob(loc)
    torch.testing.assert_close(view.log_density(torch.tensor([0.1])), total)
    moved, info = gibbs(trace, finite)
    assert info.num_values == 8
    odd = [("points", i, "z") for i in range(1, NUM, 2)]
    assert all(moved[path] == trace[path] for path in odd)


@gen
def counted(num: int) -> None:
    loc = normal(0.0, 1.0) @ "loc"
    flags = bernoulli(torch.full((num,), 0.4)) @ "flags"
    normal(loc + flags.sum(), 1.0) @ "y"


@gen
def counted_by_map(num: int) -> None:
    loc = normal(0.0, 1.0) @ "loc"
    flags = Map(flag)(torch.full((num,), 0.4)) @ "flags"
    normal(loc + torch.stack(list(flags)).sum(), 1.0) @ "y"


@gen
def flag(prob: Tensor) -> Tensor:
    return bernoulli(prob) @ "is_on"


@gen
def neighbours(num: int) -> None:
    loc = normal(0.0, 1.0) @ "loc"
    flags = bernoulli(torch.full((num,), 0.4)) @ "flags"
    normal(loc + flags + flags.roll(1), torch.ones(num)) @ "ys"


@pytest.mark.parametrize("model", [counted, counted_by_map, neighbours])
def test_elements_that_depend_on_each_other_are_an_error(model: Any) -> None:
    torch.manual_seed(9)
    trace = model.simulate(20)

    with pytest.raises(EnumerationError, match="depend on each other, and have more than 4096 combinations"):
        gibbs(trace, select("flags"))
    with pytest.raises(EnumerationError, match="depend on each other"):
        hmc(trace, select("loc"), step_size=0.1, num_leapfrogs=1, enumerate=select("flags"))


@pytest.mark.parametrize("model", [counted, counted_by_map, neighbours])
def test_few_elements_may_depend_on_each_other(model: Any) -> None:
    trace = model.simulate(5)

    moved, info = gibbs(trace, select("flags"))

    assert info.num_values == 32
    assert moved["loc"] == trace["loc"]


def test_where_values_cannot_be_read_the_density_of_dependent_elements_is_nan() -> None:
    traces = batch(counted.simulate, size=3)(20)

    densities = batch(lambda t: Marginalised(t, select("loc"), select("flags")).log_density(torch.zeros(1)))(
        traces
    )

    assert densities.isnan().all()


def test_values_that_are_impossible_for_some_elements_have_no_weight() -> None:
    bounds = torch.arange(8.0)

    @gen
    def model() -> None:
        loc = normal(0.0, 1.0) @ "loc"
        z = uniform_discrete(0, torch.full((8,), 3)) @ "z"
        normal(loc + z, torch.where(z > bounds, torch.inf, 1.0)) @ "y"

    trace = model.generate({"z": torch.zeros(8, dtype=torch.int64), "y": torch.ones(8), "loc": 0.0}).trace
    view = Marginalised(trace, select("loc"), select("z"))

    terms = [
        torch.stack(
            [Normal(float(k), 1.0).log_prob(torch.tensor(1.0)) for k in range(4) if k <= i]
        ).logsumexp(0)
        for i in range(8)
    ]
    expected = torch.stack(terms).sum() - 8 * math.log(4) + Normal(0.0, 1.0).log_prob(torch.tensor(0.0))
    torch.testing.assert_close(view.log_density(torch.zeros(1)), expected)


def test_elements_with_different_supports_are_enumerated_together_or_not_at_all() -> None:
    @gen
    def model(highs: Tensor) -> None:
        z = uniform_discrete(torch.zeros_like(highs), highs) @ "z"
        normal(z.double(), torch.ones(len(highs))) @ "y"

    _, info = gibbs(model.simulate(torch.tensor([1, 2])), select("z"))
    assert info.num_values == 6
    with pytest.raises(EnumerationError, match=r"cannot be enumerated"):
        gibbs(model.simulate(torch.arange(1, 30)), select("z"))


def test_elements_of_a_map_with_different_supports_are_not_enumerated_side_by_side() -> None:
    @gen
    def draw(high: Tensor) -> Tensor:
        z = uniform_discrete(0, high) @ "z"
        return normal(z, 1.0) @ "y"

    alike = Map(draw).simulate(torch.full((30,), 3))
    different = Map(draw).simulate(torch.arange(1, 31))

    assert gibbs(alike, select((ANY, "z")))[1].num_values == 5
    with pytest.raises(EnumerationError, match="of the elements of draw have different supports"):
        gibbs(different, select((ANY, "z")))


def test_a_map_of_a_distribution_is_enumerated() -> None:
    @gen
    def model() -> None:
        flags = Map(bernoulli)(torch.full((20,), 0.3)) @ "flags"
        normal(torch.stack(list(flags)) * 4.0, torch.ones(20)) @ "ys"

    @gen
    def alone() -> None:
        Map(bernoulli)(torch.linspace(0.1, 0.9, 20)) @ "flags"

    with pytest.raises(EnumerationError, match="depend on each other"):
        gibbs(model.simulate(), select("flags"))
    moved, info = gibbs(alone.simulate(), select("flags"))
    assert info.num_values == 3
    torch.testing.assert_close(info.log_conditional, moved.score)


def test_many_choices_with_one_value_have_few_combinations() -> None:
    @gen
    def model() -> None:
        for i in range(20):
            uniform_discrete(2, 2) @ ("fixed", i)
        flag = bernoulli(0.5) @ "flag"
        normal(torch.where(flag, 3.0, -3.0), 1.0) @ "y"

    trace, _ = model.generate({"flag": False, "y": 3.0})

    moved, info = gibbs(trace, select("fixed", "flag"))

    assert info.num_values == 2
    assert moved["flag"]  # of odds exp(18)


def test_too_many_choices_at_their_own_addresses_are_an_error() -> None:
    @gen
    def model() -> None:
        for i in range(300):
            z = bernoulli(0.5) @ ("z", i)
            normal(z, 1.0) @ ("y", i)

    with pytest.raises(EnumerationError, match=r"10\^90 combinations \(\('z', 0\) 2, .*a Map"):
        gibbs(model.simulate(), select("z"))
    chain = run_chain(model.simulate(), partial(gibbs, selection=select(("z", 3))), num_samples=2)
    assert len(chain.traces) == 2
