"""Kernels that learn while they warm up: step sizes, metrics, and anything else that they carry along.

A plain kernel is a function `trace -> (trace, info)`. An adaptive one has a state beside the trace: it
makes the first from a trace, and its `step` returns the next. `mcmc` runs either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, final, runtime_checkable

from torch import Tensor

from gen_core import GenerativeFunction, Trace
from gen_inflib.kernel import Kernel, kernel_name
from gen_inflib.kernel_errors import KernelError

R = TypeVar("R")


class Progress(NamedTuple):
    """How far a run is."""

    step: int | Tensor
    """The number of this step, from 0: a tensor of shape `()`, the same for all chains, or an int."""
    num_warmup: int
    """How many steps warm up. Steps from this number on leave what was learned as it is."""

    @property
    def is_warming_up(self) -> bool | Tensor:
        """Whether the kernel may still learn: a bool, or a boolean tensor of shape `()`."""
        return self.step < self.num_warmup


class Stepped(NamedTuple):
    """What a step of an adaptive kernel returns."""

    trace: Any
    state: Any
    info: Any


@runtime_checkable
class AdaptiveKernel(Protocol):
    """A kernel with a state.

    The state is tensors and containers of them, whose structure, shapes and dtypes stay: one for each chain
    is kept in a batch, and it is carried by a compiled loop. From step `progress.num_warmup` on, `step` must
    leave the distribution of traces as it is, so what it has learned stays as it is from there on.
    """

    def initial(self, trace: Trace[Any], /) -> Any:
        """Return the first state of a chain that starts at `trace`. It may use random numbers."""
        ...

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> tuple[Any, Any, Any]:
        """Return the next trace, the next state, and what happened."""
        ...

    def frozen(self, state: Any, /) -> Kernel[Any]:
        """Return the plain kernel with what `state` has learned."""
        ...


AnyKernel: TypeAlias = "Kernel[R] | AdaptiveKernel"
"""A plain kernel or one that adapts."""


def is_adaptive(kernel: object) -> bool:
    """Return whether a kernel has a state."""
    return isinstance(kernel, AdaptiveKernel)


def as_adaptive(kernel: AnyKernel[Any]) -> AdaptiveKernel:
    """Return an adaptive kernel as it is, and a plain one as an adaptive kernel whose state is empty.

    Raises:
        KernelError: It is neither.
    """
    if isinstance(kernel, AdaptiveKernel):
        return kernel
    given: object = kernel
    if isinstance(given, GenerativeFunction) or not callable(given):
        raise KernelError(kernel)
    return Plain(kernel)


@final
@dataclass(frozen=True)
class Plain:
    """A plain kernel where adaptive ones are expected."""

    kernel: Kernel[Any]

    @property
    def __name__(self) -> str:
        return kernel_name(self.kernel)

    def initial(self, trace: Trace[Any], /) -> Any:
        """Return nothing."""
        return ()

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> Stepped:
        """Apply the kernel."""
        moved, info = self.kernel(trace)
        return Stepped(moved, state, info)

    def frozen(self, state: Any, /) -> Kernel[Any]:
        """Return the kernel."""
        return self.kernel
