"""A training step of a variational autoencoder, eager and compiled, against torch by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from autoencoder import DATA_DIM, NUM_DATA, Networks
from baselines import vae
from compiling import compiled_by_hand
from gen_torch import jit
from timing import Benchmark, Contender, Target

EAGER, BY_HAND = "gen", "by hand"
STAGED, COMPILED = "gen jit", "by hand, torch.compile"


def benchmarks() -> Iterator[Benchmark]:
    """Return the one benchmark, with a target for eager code and one for compiled code."""
    x = (torch.rand(NUM_DATA, DATA_DIM, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    title = f"a training step of a variational autoencoder, {NUM_DATA} data of {DATA_DIM} numbers"
    networks = Networks()
    eager = [Contender(EAGER, trainer(networks, networks.loss, x)), by_hand(BY_HAND, lambda loss: loss, x)]
    yield Benchmark(f"{title}, eager", eager, NUM_DATA, Target(EAGER, BY_HAND, 1.2), "datum")
    networks = Networks()
    compiled = [
        Contender(STAGED, trainer(networks, jit(networks.loss), x)),
        by_hand(COMPILED, compiled_by_hand, x),
        by_hand(BY_HAND, lambda loss: loss, x),
    ]
    yield Benchmark(f"{title}, compiled", compiled, NUM_DATA, Target(STAGED, COMPILED, 1.2), "datum")


def by_hand(
    name: str, wrap: Callable[[Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]], x: Tensor
) -> Contender:
    """Return the rival."""
    networks = Networks()
    return Contender(name, trainer(networks, wrap(partial(vae.loss, networks)), x))


def trainer(networks: Networks, loss: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], float]:
    """Return what makes one step."""
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-3)

    def step() -> float:
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        optimizer.step()
        return float(value.detach())

    return step
