"""A step of Hamiltonian Monte Carlo through the interface, compiled, against the same by hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from baselines import hmc as by_hand
from baselines import hmc_chain
from compiling import compiled_by_hand
from gen_core import select
from gen_distributions import normal, uniform
from gen_inflib import hmc, mcmc
from gen_torch import jit, scan
from regression import NUM_LEAPFROGS, STEP_SIZE, XS, YS, quadratic
from timing import Benchmark, Contender, Target

NUM_STEPS = 500
MCMC, CHAIN_BY_HAND = "gen mcmc(compile=True)", "by hand, torch.compile of scan, one call"
STAGED, COMPILED = "gen jit, a call a step", "by hand, torch.compile, a call a step"


class Scored(NamedTuple):
    """A score, and its gradient in the position."""

    score: Tensor
    gradient: Tensor


def step(position: Tensor) -> Tensor:
    """Return the next state of the chain."""
    momentum = normal.sample(torch.zeros(3), 1.0)
    start = now = scored(position)
    energy = 0.5 * momentum.square().sum() - start.score
    proposed = position
    for _ in range(NUM_LEAPFROGS):
        momentum = momentum + 0.5 * STEP_SIZE * now.gradient
        proposed = proposed + STEP_SIZE * momentum
        now = scored(proposed)
        momentum = momentum + 0.5 * STEP_SIZE * now.gradient
    log_ratio = energy - (0.5 * momentum.square().sum() - now.score)
    return torch.where(uniform.sample(0.0, 1.0).log() < log_ratio, proposed, position)


def scored(position: Tensor) -> Scored:
    """Return the model's score at a position."""
    position = position.detach().requires_grad_()
    with torch.enable_grad():
        a, b, c = position.unbind()
        score = quadratic.assess({"a": a, "b": b, "c": c, "ys": YS}, XS).score
        (gradient,) = torch.autograd.grad(score, position)
    return Scored(score.detach(), gradient)


def chain(position: Tensor) -> Tensor:
    """Return all states of a chain."""
    return scan(lambda state, _: (step(state), state), position, length=NUM_STEPS)[1]


def benchmarks() -> Iterator[Benchmark]:
    """Return chains of many steps: written with the interface, then by the library's kernel and runner."""
    staged_step, staged_chain = jit(step), jit(chain)
    compiled_step = compiled_by_hand(by_hand.step)
    contenders = [
        Contender("gen jit of gen_torch.scan, one call", lambda: float(staged_chain(torch.zeros(3)).sum())),
        Contender(STAGED, lambda: float(walk(staged_step))),
        Contender(COMPILED, lambda: float(walk(compiled_step))),
    ]
    title = f"{NUM_STEPS} steps of Hamiltonian Monte Carlo, {NUM_LEAPFROGS} leapfrogs each"
    num_leapfrogs = NUM_STEPS * NUM_LEAPFROGS
    yield Benchmark(title, contenders, num_leapfrogs, Target(STAGED, COMPILED, 1.2), "leapfrog")

    for num_chains in (1, 64):
        yield library(num_chains)


def library(num_chains: int) -> Benchmark:
    """Return the benchmark of `mcmc`, which also draws starts, keeps draws and says what happened."""
    kernel = partial(hmc, selection=select("a", "b", "c"), step_size=STEP_SIZE, num_leapfrogs=NUM_LEAPFROGS)
    compiled_chain = compiled_by_hand(hmc_chain.one_chain if num_chains == 1 else hmc_chain.many_chains)
    shape = () if num_chains == 1 else (num_chains,)

    def run() -> float:
        chains = mcmc(
            quadratic(XS),
            {"ys": YS},
            kernel,
            num_samples=NUM_STEPS,
            num_chains=num_chains,
            compile=True,
            progress=False,
        )
        return float(chains.draws["a"].sum())

    def run_by_hand() -> float:
        with torch.no_grad():
            noise = torch.randn(NUM_STEPS, *shape, 3), torch.rand(NUM_STEPS, *shape)
            return float(compiled_chain(torch.zeros(*shape, 3), *noise).sum())

    contenders = [Contender(MCMC, run), Contender(CHAIN_BY_HAND, run_by_hand)]
    title = f"{NUM_STEPS} steps of Hamiltonian Monte Carlo, {num_chains} chains"
    num_units = NUM_STEPS * NUM_LEAPFROGS * num_chains
    return Benchmark(title, contenders, num_units, Target(MCMC, CHAIN_BY_HAND, 1.3), "leapfrog")


def walk(step: object) -> Tensor:
    """Run a chain one call at a time."""
    assert callable(step)
    position = torch.zeros(3)
    for _ in range(NUM_STEPS):
        position = step(position)
    return position.sum()
