"""Robust regression with a flag for each outlier: the move of one flag, however many points there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor

from baselines import outliers as by_hand
from gen_combinators import Map, shared
from gen_core import GenerativeFunction, Trace
from gen_core.choicemap_rows import rows
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_sml import static
from timing import Benchmark, Contender, Target

FEW, MANY = 100, 100_000
MOVES_PER_CALL = 10
CHANCE = 0.1
SCALES = (10.0, 1.0)
STRIDE = 61  # shares no factor with the numbers of points: every point has its turn


@static
def point(x: Tensor, intercept: Tensor, slope: Tensor) -> Tensor:
    """One point; it lies far off the line if it is an outlier."""
    is_outlier = bernoulli(CHANCE) @ "is_outlier"
    scale = torch.where(is_outlier, *SCALES)
    return normal(intercept + slope * x, scale) @ "y"


points = Map(point)


@static
def static_caller(xs: Tensor) -> None:
    """A line, and points about it."""
    intercept = normal(0.0, 2.0) @ "intercept"
    slope = normal(0.0, 2.0) @ "slope"
    points(xs, shared(intercept), shared(slope)) @ "points"


@gen
def dynamic_caller(xs: Tensor) -> None:
    """The same in the dynamic language."""
    intercept = normal(0.0, 2.0) @ "intercept"
    slope = normal(0.0, 2.0) @ "slope"
    points(xs, shared(intercept), shared(slope)) @ "points"


CALLERS: dict[str, GenerativeFunction[[Tensor], None]] = {
    "static": static_caller,
    "dynamic": dynamic_caller,
}


def benchmarks() -> Iterator[Benchmark]:
    """Return, for each caller, one benchmark against itself on fewer points, and one against bare torch."""
    for kind, caller in CALLERS.items():
        few, many = Chain(caller, FEW), Chain(caller, MANY)
        bare_chain = ChainByHand(many.trace)
        small, large, bare = f"gen, {FEW:,} points", f"gen, {MANY:,} points", f"torch, {MANY:,} points"
        ours = Contender(large, many.run)
        for contenders, target in (
            ([ours, Contender(small, few.run)], Target(large, small, 1.5)),
            ([ours, Contender(bare, bare_chain.run)], Target(large, bare, 5.0)),
        ):
            title = f"a move of one outlier flag, Map in a {kind} caller, accepted or rejected"
            yield Benchmark(title, contenders, MOVES_PER_CALL, target, unit="move")


@final
class Chain:
    """A chain of moves on a trace."""

    def __init__(self, caller: GenerativeFunction[[Tensor], None], num_points: int) -> None:
        """Start on a line with noise."""
        xs = torch.linspace(-1.0, 1.0, num_points)
        ys = rows({"y": 0.5 + xs + torch.randn(num_points)})
        self.trace: Trace[Any] = caller.generate({"intercept": 0.5, "slope": 1.0, "points": ys}, xs).trace
        self.num_points = num_points
        self.index = 0

    def run(self) -> None:
        """Move some flags."""
        for _ in range(MOVES_PER_CALL):
            self.index = (self.index + STRIDE) % self.num_points
            address = ("points", self.index, "is_outlier")
            updated = self.trace.update({address: ~self.trace[address]})
            if torch.rand(()).log() < updated.weight:
                self.trace = updated.trace


@final
class ChainByHand:
    """The same chain on tensors."""

    def __init__(self, trace: Trace[Any]) -> None:
        """Start where `trace` is."""
        xs = trace.args[0]
        choices = trace.choices
        whole: Any = choices.submap("points")
        line = torch.stack([choices["intercept"], choices["slope"]])
        self.state = by_hand.Regression(xs, whole.whole["y"], whole.whole["is_outlier"], line, CHANCE, SCALES)
        self.num_points = len(xs)
        self.index = 0

    def run(self) -> None:
        """Move some flags."""
        for _ in range(MOVES_PER_CALL):
            self.index = (self.index + STRIDE) % self.num_points
            self.state.move(self.index)
