"""How kernels mix: one after another, one of several by chance, one many times.

What each returns is a kernel; an adaptive one, if a kernel in it adapts. Each knows its reversal
(`gen_inflib/reversal.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, final, overload

import torch
from torch import Tensor

from gen_core import Trace
from gen_core.readable import values_are_readable
from gen_distributions import categorical
from gen_inflib.accept import choose_values
from gen_inflib.adaptive import AdaptiveKernel, AnyKernel, Progress, Stepped, as_adaptive, is_adaptive
from gen_inflib.counts import check_count
from gen_inflib.kernel import Kernel, Move, Moves, moves_of
from gen_inflib.kernel_errors import MixtureError

R = TypeVar("R")
Made = tuple[Trace[Any], Moves]


@overload
def cycle(*kernels: Kernel[R]) -> Kernel[R]: ...
@overload
def cycle(*kernels: AnyKernel[R]) -> AnyKernel[R]: ...
def cycle(*kernels: AnyKernel[R]) -> AnyKernel[R]:
    """Return the kernel that applies each of `kernels`, in order.

    Raises:
        KernelError: One of them is no kernel.
    """
    parts = Cycle(tuple(map(as_adaptive, kernels)))
    return parts if any(map(is_adaptive, kernels)) else Composed(parts)


@overload
def repeat(kernel: Kernel[R], times: int) -> Kernel[R]: ...
@overload
def repeat(kernel: AnyKernel[R], times: int) -> AnyKernel[R]: ...
def repeat(kernel: AnyKernel[R], times: int) -> AnyKernel[R]:
    """Return the kernel that applies `kernel` so many times.

    Raises:
        CountError: `times` is less than 1.
        KernelError: It is no kernel.
    """
    check_count("times", times)
    part = Repeat(as_adaptive(kernel), times)
    return part if is_adaptive(kernel) else Composed(part)


@overload
def mixture(kernels: Sequence[tuple[float, Kernel[R]]]) -> Kernel[R]: ...
@overload
def mixture(kernels: Sequence[tuple[float, AnyKernel[R]]]) -> AnyKernel[R]: ...
def mixture(kernels: Sequence[tuple[float, AnyKernel[R]]]) -> AnyKernel[R]:
    """Return the kernel that applies one of several, picked at random.

    In a batch every chain picks its own, so all are run and each chain keeps what its own gave.

    Args:
        kernels: Pairs of a weight and a kernel. Weights are nonnegative and need not sum to 1; they must
            not depend on the trace.

    Raises:
        MixtureError: There are no kernels, or the weights are no weights.
        KernelError: One of them is no kernel.
    """
    weights = [float(weight) for weight, _ in kernels]
    if not weights or min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise MixtureError(weights)
    parts = Mixture(tuple(weights), tuple(as_adaptive(kernel) for _, kernel in kernels))
    return parts if any(is_adaptive(kernel) for _, kernel in kernels) else Composed(parts)


@final
@dataclass(frozen=True)
class Composed:
    """The plain kernel that a composition of plain kernels is."""

    parts: Cycle | Repeat | Mixture

    @property
    def __name__(self) -> str:
        return type(self.parts).__name__.lower()

    def __call__(self, trace: Trace[R], /) -> tuple[Trace[R], Moves]:
        """Take a step."""
        moved, _, moves = self.parts.step(trace, self.parts.initial(trace), _ANY_TIME)
        return moved, moves


@final
@dataclass(frozen=True)
class Cycle:
    """Kernels one after another; the state is a tuple of theirs."""

    kernels: tuple[AdaptiveKernel, ...]

    def initial(self, trace: Trace[Any], /) -> tuple[Any, ...]:
        """Return the first state of each."""
        return tuple(kernel.initial(trace) for kernel in self.kernels)

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> Stepped:
        """Take a step of each."""
        states: list[Any] = []
        moves: list[Move] = []
        for kernel, own in zip(self.kernels, state, strict=True):
            trace, after, info = kernel.step(trace, own, progress)
            states.append(after)
            moves.extend(moves_of(kernel, info))
        return Stepped(trace, tuple(states), Moves(tuple(moves)))

    def frozen(self, state: Any, /) -> Kernel[Any]:
        """Return the cycle of what they learned."""
        frozen: Kernel[Any] = cycle(*_frozen(self.kernels, state))
        return frozen


@final
@dataclass(frozen=True)
class Repeat:
    """One kernel many times, with one state."""

    kernel: AdaptiveKernel
    times: int

    def initial(self, trace: Trace[Any], /) -> Any:
        """Return the kernel's first state."""
        return self.kernel.initial(trace)

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> Stepped:
        """Take the steps."""
        moves: list[Move] = []
        for _ in range(self.times):
            trace, state, info = self.kernel.step(trace, state, progress)
            moves.extend(moves_of(self.kernel, info))
        return Stepped(trace, state, Moves(tuple(moves)))

    def frozen(self, state: Any, /) -> Kernel[Any]:
        """Return what it learned, as many times."""
        frozen: Kernel[Any] = repeat(self.kernel.frozen(state), self.times)
        return frozen


@final
@dataclass(frozen=True)
class Mixture:
    """One of several kernels by chance; only the one that is picked learns."""

    weights: tuple[float, ...]
    kernels: tuple[AdaptiveKernel, ...]

    def initial(self, trace: Trace[Any], /) -> tuple[Any, ...]:
        """Return the first state of each."""
        return tuple(kernel.initial(trace) for kernel in self.kernels)

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> Stepped:
        """Pick a kernel, and take its step."""
        # In a batch the number that each chain draws meets its trace, so it must be where that is.
        weights = torch.tensor(self.weights, dtype=torch.float64, device=trace.score.device)
        picked = categorical.sample(weights)
        if values_are_readable():
            return self._step_of(int(picked), trace, state, progress)
        return self._step_of_all(picked, trace, state, progress)

    def frozen(self, state: Any, /) -> Kernel[Any]:
        """Return the mixture of what they learned."""
        frozen = _frozen(self.kernels, state)
        mixed: Kernel[Any] = mixture(list(zip(self.weights, frozen, strict=True)))
        return mixed

    def _step_of(self, picked: int, trace: Trace[Any], state: Any, progress: Progress) -> Stepped:
        kernel = self.kernels[picked]
        trace, after, info = kernel.step(trace, state[picked], progress)
        states = (*state[:picked], after, *state[picked + 1 :])
        return Stepped(trace, states, Moves(tuple(moves_of(kernel, info))))

    def _step_of_all(self, picked: Tensor, trace: Trace[Any], state: Any, progress: Progress) -> Stepped:
        chosen = trace
        states: list[Any] = []
        moves: list[Move] = []
        for number, (kernel, own) in enumerate(zip(self.kernels, state, strict=True)):
            moved, after, info = kernel.step(trace, own, progress)
            is_picked = picked == number
            chosen = choose_values(is_picked, moved, chosen)
            states.append(choose_values(is_picked, after, own))
            moves.extend(moves_of(kernel, info, is_picked))
        return Stepped(chosen, tuple(states), Moves(tuple(moves)))


def _frozen(kernels: tuple[AdaptiveKernel, ...], states: Sequence[Any]) -> list[Kernel[Any]]:
    return [kernel.frozen(state) for kernel, state in zip(kernels, states, strict=True)]


_ANY_TIME = Progress(0, 0)
"""What kernels without state are told."""
