"""Markov chains: a kernel applied again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import torch
from torch import Tensor
from tqdm import tqdm

from gen_core import Trace
from gen_inflib.adaptive import AdaptiveKernel, AnyKernel, Progress, as_adaptive
from gen_inflib.calls import check_trace
from gen_inflib.counts import check_count
from gen_inflib.kernel import moves_of

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@final
@dataclass(frozen=True, slots=True)
class Chain(Generic[R_co]):
    """What a chain visited: equally weighted traces, one after the other dependent on the one before."""

    traces: tuple[Trace[R_co], ...]
    acceptance_rates: Mapping[str, float]
    """By the kernels' names, the share of steps after warm-up that were accepted."""

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
    kernel: AnyKernel[R],
    *,
    num_samples: int,
    num_warmup: int = 0,
    thin: int = 1,
    progress: bool | None = None,
) -> Chain[R]:
    """Apply `kernel` num_warmup + num_samples * thin times, and keep the traces it visits.

    Args:
        trace: Where to start, such as `model.generate(observations).trace`.
        kernel: The kernel, adaptive or not, or several composed by `cycle`, `mixture` and the like.
        num_samples: How many traces to keep.
        num_warmup: How many steps to take first and forget, in which adaptive kernels learn.
        thin: Keep every so many-th trace.
        progress: Whether to show a progress bar; by default, where standard error is a terminal.

    Raises:
        ModelError: `trace` is no trace.
        CountError: A count is too small.
        KernelError: `kernel` is no kernel.
    """
    check_trace(trace)
    check_count("num_samples", num_samples)
    check_count("num_warmup", num_warmup, least=0)
    check_count("thin", thin)
    stepper = as_adaptive(kernel)
    state = stepper.initial(trace)
    kept: list[Trace[R]] = []
    acceptance = _Acceptance()
    hidden = None if progress is None else not progress
    for step in tqdm(range(num_warmup + num_samples * thin), disable=hidden, unit="step", leave=False):
        trace, state, info = stepper.step(trace, state, Progress(step, num_warmup))
        if step >= num_warmup:
            acceptance.count(stepper, info)
            if (step - num_warmup + 1) % thin == 0:
                kept.append(trace)
    return Chain(tuple(kept), acceptance.rates())


class _Acceptance:
    """Counts of steps and of accepted steps, by kernel."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()

    def count(self, kernel: AdaptiveKernel, info: object) -> None:
        for move in moves_of(kernel, info):
            # A kernel that always moves need not say so.
            accepted = getattr(move.info, "accepted", None)
            if accepted is not None:
                self.steps[move.kernel] += 1
                self.accepted[move.kernel] += bool(accepted)

    def rates(self) -> dict[str, float]:
        return {name: self.accepted[name] / steps for name, steps in self.steps.items()}
