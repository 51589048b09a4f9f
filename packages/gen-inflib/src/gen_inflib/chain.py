"""Markov chains: a kernel applied again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor
from tqdm import tqdm

from gen_core import Trace
from gen_inflib.counts import check_count
from gen_inflib.kernel import Kernel, moves_of

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@final
@dataclass(frozen=True, slots=True)
class Chain(Generic[R_co]):
    """What a chain visited: equally weighted traces, one after the other dependent on the one before."""

    traces: tuple[Trace[R_co], ...]
    acceptance_rates: Mapping[str, float]
    """By the kernels' names, the share of steps after burn-in that were accepted."""

    def expectation(self, function: Callable[[Trace[R_co]], Tensor | float]) -> Tensor:
        """Return the mean of `function` over the traces, in float64.

        Args:
            function: Maps a trace to a number or a tensor; all of one shape.

        Returns:
            The shape that `function` returns.
        """
        return torch.stack([torch.as_tensor(function(trace)) for trace in self.traces]).double().mean(0)


def run_chain(
    trace: Trace[R],
    kernel: Kernel[R],
    *,
    num_samples: int,
    burn_in: int = 0,
    thin: int = 1,
    progress: bool | None = None,
) -> Chain[R]:
    """Apply `kernel` burn_in + num_samples * thin times, and keep the traces it visits.

    Args:
        trace: Where to start, such as `model.generate(observations).trace`.
        kernel: The kernel, or several composed by `cycle`, `mixture` and `repeat`.
        num_samples: How many traces to keep.
        burn_in: How many steps to take first and forget.
        thin: Keep every so many-th trace.
        progress: Whether to show a progress bar; by default, where standard error is a terminal.

    Raises:
        CountError: A count is too small.
    """
    check_count("num_samples", num_samples)
    check_count("burn_in", burn_in, least=0)
    check_count("thin", thin)
    kept: list[Trace[R]] = []
    acceptance = _Acceptance()
    hidden = None if progress is None else not progress
    for step in tqdm(range(1, burn_in + num_samples * thin + 1), disable=hidden, unit="step", leave=False):
        trace, info = kernel(trace)
        if step > burn_in:
            acceptance.count(kernel, info)
            if (step - burn_in) % thin == 0:
                kept.append(trace)
    return Chain(tuple(kept), acceptance.rates())


class _Acceptance:
    """Counts of steps and of accepted steps, by kernel."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()

    def count(self, kernel: Kernel[Any], info: object) -> None:
        for move in moves_of(kernel, info):
            # A kernel that always moves need not say so.
            accepted = getattr(move.info, "accepted", None)
            if accepted is not None:
                self.steps[move.kernel] += 1
                self.accepted[move.kernel] += bool(accepted)

    def rates(self) -> dict[str, float]:
        return {name: self.accepted[name] / steps for name, steps in self.steps.items()}
