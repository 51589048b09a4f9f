"""Every algorithm on every model with a known answer, in every mode.

A tolerance is four standard errors, estimated from the run itself: by the delta method for weighted traces,
from independent runs or chains, or from the means of batches of one chain. With a right algorithm and a fresh
seed, one check in thousands fails.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal

import pytest
import torch

from agreement import NUM_STANDARD_ERRORS, check_chains, check_runs, check_weighted, default_dtype
from gen_core import choicemap
from gen_inflib import (
    Weighted,
    annealed_smc,
    elliptical_slice,
    importance_resampling,
    importance_sampling,
    laplace,
    map_optimize,
    mcmc,
    particle_filter,
    run_chain,
    sequence_filter,
)
from known_answers import PROBLEMS, Problem

NUM_PARTICLES = 1000
NUM_SAMPLES = 360
NUM_BATCHES = 30

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
PROPOSALS = pytest.mark.parametrize("with_proposal", [False, True], ids=["internal", "custom"])
SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])
CHAINS = [(problem, kernel) for problem, known in PROBLEMS.items() for kernel in known.kernels]
BATCHABLE = [name for name, known in PROBLEMS.items() if known.is_batchable]
SEQUENCES = [name for name, known in PROBLEMS.items() if known.steps]


@SEEDS
@DTYPES
@PROPOSALS
@pytest.mark.parametrize("name", PROBLEMS)
def test_importance_sampling_agrees_with_the_known_answer(
    name: str, with_proposal: bool, dtype: torch.dtype, seed: int
) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(seed)

    with default_dtype(dtype):
        weighted = importance_sampling(
            problem.model,
            problem.observations,
            num_particles=NUM_PARTICLES,
            proposal=problem.proposal if with_proposal else None,
        )

        assert (weighted.why_looped is None) is problem.is_batchable
        check_weighted(weighted, problem)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta", "mixture", "hidden_markov", "change_point"])
def test_compiled_importance_sampling_draws_the_numbers_of_a_batch(name: str) -> None:
    problem = PROBLEMS[name]
    found = []
    for compile in (False, True):
        torch.manual_seed(4)
        found.append(
            importance_sampling(
                problem.model,
                problem.observations,
                num_particles=200,
                proposal=problem.proposal,
                compile=compile,
            )
        )

    torch.testing.assert_close(found[0].log_weights, found[1].log_weights, rtol=1e-4, atol=1e-4)
    evidences = [float(each.log_marginal_likelihood) for each in found]
    assert evidences[0] == pytest.approx(evidences[1], abs=1e-4)


@pytest.mark.parametrize("name", BATCHABLE)
def test_one_by_one_importance_sampling_agrees_with_the_known_answer(name: str) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(5)

    weighted = importance_sampling(problem.model, problem.observations, num_particles=200, batched=False)

    assert isinstance(weighted.traces, tuple)
    check_weighted(weighted, problem)


@DTYPES
@PROPOSALS
@pytest.mark.parametrize("name", PROBLEMS)
def test_importance_resampling_agrees_with_the_known_answer(
    name: str, with_proposal: bool, dtype: torch.dtype
) -> None:
    problem = PROBLEMS[name]
    proposal = problem.proposal if with_proposal else None
    torch.manual_seed(2)

    with default_dtype(dtype):
        runs = [
            importance_resampling(problem.model, problem.observations, num_particles=50, proposal=proposal)
            for _ in range(60)
        ]
        values = torch.tensor([problem.statistic(run.trace) for run in runs], dtype=torch.float64)

    # With 50 particles the bias is of the order of 1/50 standard deviation.
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


@DTYPES
@pytest.mark.parametrize("name", PROBLEMS)
def test_annealing_agrees_with_the_known_answer(name: str, dtype: torch.dtype) -> None:
    problem = PROBLEMS[name]
    kernel = next(iter(problem.kernels.values()))
    torch.manual_seed(5)

    with default_dtype(dtype):
        runs = [
            annealed_smc(problem.model, problem.observations, kernel, num_particles=40, num_moves=2)
            for _ in range(15)
        ]
        values = torch.stack([run.expectation(problem.statistic) for run in runs]).double()

    # With 40 particles the bias is of the order of 1/40 standard deviation.
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


@pytest.mark.slow
@pytest.mark.skipif(torch.__version__ < "2.13", reason="older compilers reorder draws")
@pytest.mark.parametrize("name", ["beta", "mixture", "hidden_markov", "change_point"])
def test_compiled_annealing_draws_the_numbers_of_a_batch(name: str) -> None:
    problem = PROBLEMS[name]
    kernel = next(iter(problem.kernels.values()))
    found = []
    for compile in (False, True):
        torch.manual_seed(5)
        found.append(
            annealed_smc(
                problem.model, problem.observations, kernel, num_particles=100, num_moves=2, compile=compile
            )
        )

    torch.testing.assert_close(found[0].log_weights, found[1].log_weights, rtol=1e-4, atol=1e-4)
    evidences = [float(each.log_marginal_likelihood) for each in found]
    assert evidences[0] == pytest.approx(evidences[1], abs=1e-4)
    means = [float(each.expectation(problem.statistic)) for each in found]
    assert means[0] == pytest.approx(means[1], abs=1e-4)


@SEEDS
@DTYPES
@pytest.mark.parametrize("run", ["steps", "sequence", "guided sequence"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_particle_filters_agree_with_the_known_answer(
    name: str, run: str, dtype: torch.dtype, seed: int
) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(seed)

    with default_dtype(dtype):
        runs = [_filtered(problem, run) for _ in range(15)]
        values = torch.stack([run.expectation(problem.statistic) for run in runs]).double()

    # With 100 particles the bias is of the order of 1/100 standard deviation.
    check_runs(values, torch.stack([run.log_marginal_likelihood for run in runs]), problem)


def _filtered(problem: Problem, run: str) -> Weighted[Any]:
    assert problem.steps is not None
    observed = choicemap(problem.observations)
    if run == "steps":
        lengths = range(1, len(observed.child_keys()) + 1)
        news = [{(t - 1, *path): value for path, value in observed.child(t - 1).leaves()} for t in lengths]
        return particle_filter(zip(map(problem.steps, lengths), news, strict=True), num_particles=100)
    proposal = problem.step_proposal if run == "guided sequence" else None
    return sequence_filter(problem.model, observed, num_particles=100, proposal=proposal).particles()


@pytest.mark.slow
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_compiled_filter_draws_the_numbers_of_an_eager_one(name: str) -> None:
    problem = PROBLEMS[name]
    found = []
    for compile in (False, True):
        torch.manual_seed(6)
        found.append(
            sequence_filter(
                problem.model,
                problem.observations,
                num_particles=200,
                proposal=problem.step_proposal,
                compile=compile,
            )
        )

    torch.testing.assert_close(found[0].log_weights, found[1].log_weights, rtol=1e-4, atol=1e-4)


# Adaptive kernels in a loop are slow, and have tests of their own.
@pytest.mark.parametrize(("name", "kernel"), [pair for pair in CHAINS if "adaptive" not in pair[1]])
def test_a_chain_agrees_with_the_known_answer(name: str, kernel: str) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(3)
    start = importance_resampling(problem.model, problem.observations, num_particles=10).trace

    chain = run_chain(start, problem.kernels[kernel], num_samples=NUM_SAMPLES, num_warmup=50)

    values = torch.tensor([problem.statistic(trace) for trace in chain.traces], dtype=torch.float64)
    means = values.reshape(NUM_BATCHES, -1).mean(1)
    standard_error = means.std() / math.sqrt(NUM_BATCHES)
    assert abs(values.mean() - problem.posterior_mean) < NUM_STANDARD_ERRORS * standard_error


@pytest.mark.parametrize(
    ("dtype", "seed"), [(torch.float32, 4), (torch.float64, 5)], ids=["float32", "float64"]
)
@pytest.mark.parametrize(("name", "kernel"), [pair for pair in CHAINS if pair[0] in BATCHABLE])
def test_batched_chains_agree_with_the_known_answer(
    name: str, kernel: str, dtype: torch.dtype, seed: int
) -> None:
    problem = PROBLEMS[name]
    torch.manual_seed(seed)

    with default_dtype(dtype):
        check_chains(problem, problem.kernels[kernel])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("normal", "involution"),
        ("normal", "for each"),
        ("beta", "mala"),
        ("vector", "few angles"),
        ("mixture", "hmc that sums over"),
        ("hidden_markov", "particle gibbs"),
        ("change_point", "proposal and random walk"),
    ],
)
def test_compiled_chains_draw_the_numbers_of_batched_ones(name: str, kernel: str) -> None:
    """Further kernels are in tests of their own, and in those of `mcmc`."""
    problem = PROBLEMS[name]
    kernels = problem.kernels | {"few angles": partial(elliptical_slice, address="x", max_shrinks=4)}
    found = []
    modes: tuple[Literal[False], Literal["graph"]] = (False, "graph")
    for compile in modes:
        torch.manual_seed(8)
        found.append(
            mcmc(
                problem.model,
                problem.observations,
                kernels[kernel],
                num_samples=6,
                num_chains=3,
                batched=None if compile else True,
                compile=compile,
            )
        )

    for (path, one), (_, other) in zip(found[0].draws.leaves(), found[1].draws.leaves(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5, msg=f"draws at {path} differ")
    acceptance = [torch.stack(list(chains.acceptance_rates.values())) for chains in found]
    assert torch.equal(*acceptance)


@DTYPES
@pytest.mark.parametrize("name", [name for name, known in PROBLEMS.items() if known.enumerated is not None])
def test_laplaces_approximation_with_weights_agrees_with_the_known_answer(
    name: str, dtype: torch.dtype
) -> None:
    problem = PROBLEMS[name]
    assert problem.enumerated is not None
    torch.manual_seed(7)

    with default_dtype(dtype):
        approximation = laplace(problem.model, problem.observations, enumerate=problem.enumerated)
        weighted = approximation.sample(NUM_PARTICLES)

        if problem.is_normal:
            assert float(approximation.log_marginal_likelihood) == pytest.approx(
                problem.log_evidence, abs=1e-3
            )
            assert float(weighted.log_weights.std()) < 1e-3  # the approximation is the posterior
            # Then the weights do not say how exact the mean is; the variance does.
            error = math.sqrt(problem.posterior_variance / NUM_PARTICLES)
            mean = weighted.expectation(problem.statistic)
            assert abs(mean - problem.posterior_mean) < NUM_STANDARD_ERRORS * error
        else:
            check_weighted(weighted, problem)


@DTYPES
@pytest.mark.parametrize("name", [name for name, known in PROBLEMS.items() if known.is_normal])
def test_the_mode_of_a_normal_posterior_is_its_mean(name: str, dtype: torch.dtype) -> None:
    problem = PROBLEMS[name]

    with default_dtype(dtype):
        found = map_optimize(problem.model, problem.observations, tolerance=1e-3)

        assert found.has_converged
        # A gradient of 1e-3 is that far from the mode, times the variance.
        assert float(problem.statistic(found.trace)) == pytest.approx(problem.posterior_mean, abs=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta", "vector", "mixture", "change_point"])
def test_compiled_searches_find_the_modes_of_eager_ones(name: str) -> None:
    problem = PROBLEMS[name]
    assert problem.enumerated is not None
    modes, evidences = [], []
    for compile in (False, True):
        torch.manual_seed(9)
        options: Any = {"enumerate": problem.enumerated, "compile": compile}
        found = map_optimize(problem.model, problem.observations, **options)
        modes.append(float(problem.statistic(found.trace)))
        evidences.append(
            float(laplace(problem.model, problem.observations, **options).log_marginal_likelihood)
        )

    # Rounding leads the two searches through other points, to where the gradient is within the tolerance.
    assert modes[0] == pytest.approx(modes[1], abs=5e-3)
    assert evidences[0] == pytest.approx(evidences[1], abs=1e-3)
