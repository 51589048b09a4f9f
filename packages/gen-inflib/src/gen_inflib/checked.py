"""Checking that a kernel leaves alone what it must: observations, and what controls it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar, final, overload

from gen_core import ChoiceMap, Choices, Trace, choicemap
from gen_core.choicemap_values import same_value
from gen_core.readable import values_are_readable
from gen_inflib.adaptive import AdaptiveKernel, AnyKernel, Plain, Progress, Stepped, as_adaptive, is_adaptive
from gen_inflib.control import ForEach, ForRandom, When
from gen_inflib.kernel import Kernel, Moves, kernel_name, moves_of
from gen_inflib.kernel_errors import ObservationChangedError, UncheckableError
from gen_inflib.kernels import Composed, Cycle, Mixture, Repeat

R = TypeVar("R")


@overload
def checked(kernel: Kernel[R], observations: Choices) -> Kernel[R]: ...
@overload
def checked(kernel: AnyKernel[R], observations: Choices) -> AnyKernel[R]: ...
def checked(kernel: AnyKernel[R], observations: Choices) -> AnyKernel[R]:
    """Return a kernel that raises if it changes an observation, or a value that controls a part of it.

    Every part of a composed kernel is checked by itself, so that the error names the one to blame. Chains of
    a checked kernel run one after another.

    Args:
        kernel: Any kernel.
        observations: What was observed. Only the addresses matter: values are compared with those before.

    Raises:
        ObservationChangedError: At a step: names the address.
        ControlChangedError: At a step: names the condition, loop or distribution.
        UncheckableError: At a step: the chains run in a batch or compiled.
    """
    observed = choicemap(observations)
    if is_adaptive(kernel):
        return CheckedAdaptive(_parts(kernel, observed), observed)
    plain: Kernel[R] = _parts(kernel, observed)
    return plain


@final
@dataclass(frozen=True)
class Checked:
    """A kernel, and the observations that it must leave alone."""

    kernel: Kernel[Any]
    observations: ChoiceMap

    @property
    def __name__(self) -> str:
        return kernel_name(self.kernel)

    def __call__(self, trace: Trace[R], /) -> tuple[Trace[R], Any]:
        """Take a step, and look at the observations."""
        moved, info = self.kernel(trace)
        check_observations(self.observations, self.kernel, trace, moved)
        return moved, info if isinstance(info, Moves) else Moves(tuple(moves_of(self.kernel, info)))


@final
@dataclass(frozen=True)
class CheckedAdaptive:
    """The same for kernels that adapt."""

    kernel: AdaptiveKernel
    observations: ChoiceMap

    @property
    def __name__(self) -> str:
        return kernel_name(self.kernel)

    def initial(self, trace: Trace[Any], /) -> Any:
        """Return the kernel's first state."""
        return self.kernel.initial(trace)

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> Stepped:
        """Take a step, and look at the observations."""
        moved, after, info = self.kernel.step(trace, state, progress)
        check_observations(self.observations, self.kernel, trace, moved)
        return Stepped(moved, after, info)

    def frozen(self, state: Any, /) -> Kernel[Any]:
        """Return the plain kernel, checked."""
        return Checked(self.kernel.frozen(state), self.observations)


def check_observations(
    observations: ChoiceMap, kernel: object, before: Trace[Any], after: Trace[Any]
) -> None:
    """Raise ObservationChangedError if an observed value is not what it was."""
    if not values_are_readable():
        raise UncheckableError("checked(...)")
    for path in observations.paths():
        now = after.choices.get(path)
        if now is None or not same_value(before.choices[path], now):
            raise ObservationChangedError(kernel_name(kernel), path, before.choices[path], now)


def _parts(kernel: Any, observed: ChoiceMap) -> Any:
    """Return a kernel whose parts are checked."""
    if isinstance(kernel, Composed):
        return replace(kernel, parts=_parts(kernel.parts, observed))
    if isinstance(kernel, Cycle | Mixture):
        return replace(kernel, kernels=tuple(as_adaptive(_parts(part, observed)) for part in kernel.kernels))
    if isinstance(kernel, Repeat):
        return replace(kernel, kernel=as_adaptive(_parts(kernel.kernel, observed)))
    if isinstance(kernel, Plain):
        return Plain(_parts(kernel.kernel, observed))
    if isinstance(kernel, When):
        return replace(kernel, kernel=_parts(kernel.kernel, observed), check=True)
    if isinstance(kernel, ForEach | ForRandom):
        kernel_of = kernel.kernel_of
        return replace(kernel, kernel_of=lambda value: _parts(kernel_of(value), observed), check=True)
    return CheckedAdaptive(kernel, observed) if is_adaptive(kernel) else Checked(kernel, observed)
