from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import gen_distributions as g
from gen_core.testing import check_samples

NUM_SAMPLES = 2000
P_VALUE = 1e-3  # with the seeds fixed, a right sampler passes once and for all


def draw(case: Any, num_samples: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Draw a batch with vmap, as batched runs do."""
    parameters = case.parameters(dtype)
    sampler = torch.func.vmap(lambda _: case.distribution.family.sample(*parameters), randomness="different")
    torch.manual_seed(1)
    samples: torch.Tensor = sampler(torch.zeros(num_samples))
    return samples


@pytest.fixture(autouse=True)
def without_vmap_fallback() -> Any:
    """Make it an error to fall back to a loop over the batch."""
    functorch: Any = torch._C._functorch
    functorch._set_vmap_fallback_enabled(False)
    yield
    functorch._set_vmap_fallback_enabled(True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_has_the_shape_and_dtype_of_an_event(case: Any, dtype: torch.dtype) -> None:
    sample = case.distribution.family.sample(*case.parameters(dtype))

    assert sample.shape == case.values(dtype)[0].shape
    assert sample.dtype == case.values(dtype)[0].dtype
    assert case.log_prob(sample, *case.parameters(dtype)) > -math.inf


def test_python_numbers_give_the_default_dtype(case: Any) -> None:
    sample = case.distribution.family.sample(*case.args)

    assert sample.dtype == case.values(torch.float32)[0].dtype


def test_samples_have_the_batch_shape_of_the_parameters(case: Any) -> None:
    constraints = case.distribution.family.arg_constraints
    names = list(case.distribution.signature.parameters)
    parameters: list[Any] = list(case.parameters())
    positions = [i for i, value in enumerate(parameters) if isinstance(value, torch.Tensor)]
    if not positions:
        parameters, positions = [torch.tensor(value) for value in case.args], [0, 1]
    # The first parameter varies along one dimension, the last one along another.
    for i, batch in {positions[0]: (3, 1), positions[-1]: (2,)}.items():
        event_dim = constraints[names[i]].event_dim
        event = parameters[i].shape[parameters[i].dim() - event_dim :]
        parameters[i] = parameters[i].expand(*batch, *event)
    expected = (3, 2) if len(positions) > 1 else (2,)

    sample = case.distribution.family.sample(*parameters)

    assert sample.shape == (*expected, *case.values()[0].shape)
    assert case.log_prob(sample, *parameters).shape == expected


@pytest.mark.parametrize("distribution", [g.normal, g.uniform, g.gamma, g.laplace])
def test_parameters_may_be_numpy_arrays_and_integers(distribution: Any) -> None:
    assert distribution.sample(np.ones(3), 2).shape == (3,)
    assert distribution.sample(1, np.full(3, 2.0, dtype=np.float32)).shape == (3,)
    assert distribution.sample(np.float32(1.0), np.int64(2)).dtype == torch.float32
    assert distribution.sample(torch.tensor(1), torch.tensor(2)).dtype == torch.float32


def test_samples_of_a_batch_differ(continuous: Any) -> None:
    samples = draw(continuous, 50)

    assert len({tuple(sample.flatten().tolist()) for sample in samples}) == 50


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batched_samples_of_numbers_follow_scipys_law(univariate: Any, dtype: torch.dtype) -> None:
    samples = draw(univariate, NUM_SAMPLES, dtype)

    reference = univariate.reference()
    assert stats.kstest(samples.double().numpy(), reference.cdf).pvalue > P_VALUE


@pytest.mark.parametrize("in_dims", [(0, None), (None, 0), (0, 0), (None, None, 0)])
def test_a_batch_of_normals_draws_for_each_element_whatever_is_batched(in_dims: Any) -> None:
    parameters = [
        torch.zeros(NUM_SAMPLES if dim == 0 else ()) + value
        for dim, value in zip(in_dims, (0.3, 1.7, 0.0), strict=False)
    ]
    torch.manual_seed(0)
    sampler = torch.func.vmap(
        lambda loc, scale, *_: g.normal.family.sample(loc, scale), in_dims, randomness="different"
    )
    samples = sampler(*parameters).numpy()

    assert stats.kstest(samples, stats.norm(0.3, 1.7).cdf).pvalue > P_VALUE


@pytest.mark.filterwarnings("error")
def test_a_batch_of_binomials_may_share_the_number_of_trials() -> None:
    torch.manual_seed(0)
    sampler = torch.func.vmap(lambda chance: g.binomial.family.sample(6, chance), randomness="different")

    samples = sampler(torch.full((NUM_SAMPLES, 2), 0.3)).numpy()

    # The variance of a count is 1.26, so the standard error of the mean is its root by that of the number.
    assert abs(samples.mean() - 1.8) < 5 * (1.26 / samples.size) ** 0.5


@pytest.mark.parametrize("low", [0.0, -1.5])
def test_numbers_from_an_interval_of_python_numbers_follow_the_uniform_law(low: float) -> None:
    sampler = torch.func.vmap(lambda _: g.uniform.family.sample(low, 2.0), randomness="different")
    torch.manual_seed(0)
    alone = [float(g.uniform.family.sample(low, 2.0)) for _ in range(NUM_SAMPLES)]

    for samples in (alone, sampler(torch.zeros(NUM_SAMPLES)).numpy()):
        assert stats.kstest(samples, stats.uniform(low, 2.0 - low).cdf).pvalue > P_VALUE


def test_beta_draws_from_python_numbers_follow_scipys_law() -> None:
    torch.manual_seed(0)
    samples = [float(g.beta.family.sample(2.3, 0.7)) for _ in range(NUM_SAMPLES)]

    assert stats.kstest(samples, stats.beta(2.3, 0.7).cdf).pvalue > P_VALUE


def test_batched_counts_follow_scipys_law(count: Any) -> None:
    samples = draw(count, NUM_SAMPLES).long().numpy()

    values, counts = np.unique(samples, return_counts=True)
    expected = count.reference().pmf(values) * NUM_SAMPLES
    usual = expected >= 5
    rest = NUM_SAMPLES - expected[usual].sum(), NUM_SAMPLES - counts[usual].sum()
    if rest[0] >= 5:
        expected, counts = np.append(expected[usual], rest[0]), np.append(counts[usual], rest[1])
    else:
        counts = counts[usual]
        expected = expected[usual] * counts.sum() / expected[usual].sum()
    assert stats.chisquare(counts, expected).pvalue > P_VALUE


def test_samples_follow_the_density(case: Any) -> None:
    check_samples(case.distribution, *case.parameters(), num_samples=NUM_SAMPLES)


@pytest.mark.slow
def test_single_precision_samples_follow_the_density(case: Any) -> None:
    check_samples(case.distribution, *case.parameters(torch.float32), num_samples=5000, seed=2)


def test_samples_of_vectors_have_scipys_mean_and_covariance(multivariate: Any) -> None:
    if multivariate.distribution.name == "lkj_cholesky":
        pytest.skip("scipy does not have it")
    samples = draw(multivariate, NUM_SAMPLES).flatten(1).numpy()

    np.random.seed(0)
    theirs = multivariate.reference().rvs(NUM_SAMPLES).reshape(NUM_SAMPLES, -1)
    for power in (1, 2):
        ours, reference = samples**power, theirs**power
        error = np.sqrt((ours.var(0) + reference.var(0)) / NUM_SAMPLES) + 1e-12
        assert (np.abs(ours.mean(0) - reference.mean(0)) / error).max() < 4.0


def test_correlations_of_lkj_follow_their_beta_law() -> None:
    # Lewandowski et al.: a correlation is 2 b - 1 for b ~ beta(a, a), a = concentration + (dim - 2) / 2.
    factors = torch.func.vmap(lambda _: g.lkj_cholesky.family.sample(4, 1.5), randomness="different")
    torch.manual_seed(0)
    correlations = (lambda l: l @ l.mT)(factors(torch.zeros(NUM_SAMPLES)))

    law = stats.beta(2.5, 2.5, loc=-1, scale=2)
    for i, j in [(1, 0), (2, 0), (3, 1), (3, 2)]:
        assert stats.kstest(correlations[:, i, j].numpy(), law.cdf).pvalue > P_VALUE


def test_multinomial_counts_may_vary_over_a_batch() -> None:
    totals = torch.tensor([0, 3, 1000])
    torch.manual_seed(0)
    counts = g.multinomial.family.sample(totals, [0.2, 0.5, 0.3])

    assert counts.sum(-1).tolist() == [0, 3, 1000]
    assert stats.chisquare(counts[2].numpy(), [200, 500, 300]).pvalue > P_VALUE


def test_categories_of_weight_zero_are_never_drawn() -> None:
    weights = torch.tensor([0.0, 1.0, 0.0, 3.0, 0.0])
    torch.manual_seed(0)
    samples = g.categorical.family.sample(weights.expand(5000, 5))

    assert set(samples.tolist()) == {1, 3}


@pytest.mark.parametrize("concentration", [0.01, 1e-3])
def test_beta_of_small_concentrations_puts_half_at_each_end(concentration: float) -> None:
    torch.manual_seed(0)
    samples = g.beta.family.sample(torch.full((4000,), concentration), concentration)

    # By symmetry; three standard errors of a share of 4000.
    assert float((samples > 0.5).float().mean()) == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(4000))
    assert bool(g.beta.family.log_prob(samples, concentration, concentration).isfinite().all())


def test_uniform_samples_stay_inside_their_interval() -> None:
    torch.manual_seed(0)
    low, high = 1.0, 1.0 + 1e-6  # a few steps of float32 wide
    samples = torch.stack([g.uniform.family.sample(low, high) for _ in range(500)])

    assert bool(g.uniform.family.log_prob(samples, low, high).isfinite().all())


@pytest.mark.slow
def test_samplers_compile(case: Any) -> None:
    parameters = case.parameters(torch.float32)
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda *args: case.distribution.family.sample(*args), backend="eager", fullgraph=True
    )

    assert compiled(*parameters).shape == case.values()[0].shape


def test_samplers_and_densities_can_be_staged(case: Any) -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    parameters = case.parameters(torch.float32)
    tensors = [value for value in parameters if isinstance(value, torch.Tensor)]

    def program(*given: torch.Tensor) -> torch.Tensor:
        remaining = iter(given)
        arguments = [next(remaining) if isinstance(value, torch.Tensor) else value for value in parameters]
        value = case.distribution.family.sample(*arguments)
        return case.log_prob(value, *arguments)  # type: ignore[no-any-return]

    staged = make_fx(program, tracing_mode="fake")(*tensors)

    assert bool(staged(*tensors).isfinite())
