"""Control flow of kernels: loops, conditions, and numbers drawn to say which kernel to apply.

What controls a kernel must not be changed by it: neither the condition, nor the list that is looped over,
nor the distribution that is drawn from. Then each of these leaves a distribution as it is if its kernels do,
and has a reversal (`gen_inflib/reversal.py`). With `check=True` that is looked at, at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, final

import torch
from torch import Tensor

from gen_core import Call, Trace
from gen_core.choicemap_values import same_value
from gen_core.readable import values_are_readable
from gen_inflib.accept import choose_values
from gen_inflib.adaptive import is_adaptive
from gen_inflib.kernel import Kernel, Move, Moves, kernel_name, moves_of
from gen_inflib.kernel_errors import ControlChangedError, NotPlainError, UncheckableError

R = TypeVar("R")
V = TypeVar("V")

Values: TypeAlias = "Sequence[V] | Callable[[Trace[Any]], Sequence[V]]"
"""What to loop over: a sequence, or a function from the trace to one."""


def for_each(values: Values[V], kernel_of: Callable[[V], Kernel[Any]], *, check: bool = False) -> ForEach:
    """Return the kernel that applies `kernel_of(value)` for each of `values`, in order.

    Args:
        values: What to loop over; a function of the trace is asked once, before the loop.
        kernel_of: Makes a kernel of one value.
        check: Whether to raise if a kernel changes what `values` returns.

    >>> for_each(range(3), lambda i: partial(random_walk, selection=select(("x", i)), scale=1.0))
    """
    return ForEach(values, kernel_of, check)


def when(
    condition: Callable[[Trace[Any]], bool | Tensor], kernel: Kernel[Any], *, check: bool = False
) -> When:
    """Return the kernel that applies `kernel` where `condition(trace)` holds, and else does nothing.

    In a batch the kernel is run for all chains, and those for which the condition holds keep what it gave.

    Args:
        condition: A function from the trace to a bool, or to a boolean tensor of shape `()`.
        kernel: What to apply.
        check: Whether to raise if the kernel changes the condition.

    Raises:
        NotPlainError: The kernel adapts.
    """
    if is_adaptive(kernel):
        raise NotPlainError(kernel_name(kernel), "a condition may keep it from learning")
    return When(condition, kernel, check)


def for_random(
    distribution: Call[V] | Callable[[Trace[Any]], Call[V]],
    kernel_of: Callable[[V], Kernel[Any]],
    *,
    check: bool = False,
) -> ForRandom:
    """Return the kernel that applies `kernel_of(value)` for a value that it draws.

    Args:
        distribution: A call of a generative function, or a function from the trace to one.
        kernel_of: Makes a kernel of the value.
        check: Whether to raise if the kernel changes the call.

    >>> for_random(uniform_discrete(0, 9), lambda i: partial(gibbs_at, ("flag", int(i))))
    """
    return ForRandom(distribution, kernel_of, check)


@final
@dataclass(frozen=True)
class ForEach:
    """A loop; made by `for_each`."""

    values: Any
    kernel_of: Callable[[Any], Kernel[Any]]
    check: bool = False

    __name__ = "for_each"

    def __call__(self, trace: Trace[R], /) -> tuple[Trace[R], Moves]:
        """Apply the kernel of each value."""
        values = self.values_at(trace)
        moves: list[Move] = []
        for value in values:
            kernel = plain_kernel(self.kernel_of(value))
            trace, info = kernel(trace)
            moves.extend(moves_of(kernel, info))
            if self.check and callable(self.values):
                _check_same("the values of for_each", kernel, values, self.values_at(trace))
        return trace, Moves(tuple(moves))

    def values_at(self, trace: Trace[Any]) -> list[Any]:
        """Return what is looped over."""
        return list(self.values(trace) if callable(self.values) else self.values)


@final
@dataclass(frozen=True)
class When:
    """A condition; made by `when`."""

    condition: Callable[[Trace[Any]], bool | Tensor]
    kernel: Kernel[Any]
    check: bool = False

    __name__ = "when"

    def __call__(self, trace: Trace[R], /) -> tuple[Trace[R], Moves]:
        """Apply the kernel where the condition holds."""
        holds = self.condition(trace)
        if isinstance(holds, Tensor) and not values_are_readable():
            return self._masked(holds, trace)
        if not holds:
            return trace, Moves(())
        moved, info = self.kernel(trace)
        if self.check:
            _check_same("the condition of when", self.kernel, bool(holds), bool(self.condition(moved)))
        return moved, Moves(tuple(moves_of(self.kernel, info)))

    def _masked(self, holds: Tensor, trace: Trace[R]) -> tuple[Trace[R], Moves]:
        if self.check:
            raise UncheckableError("when(..., check=True)")
        moved, info = self.kernel(trace)
        return choose_values(holds, moved, trace), Moves(tuple(moves_of(self.kernel, info, holds)))


@final
@dataclass(frozen=True)
class ForRandom:
    """A kernel of a value that is drawn; made by `for_random`."""

    distribution: Any
    kernel_of: Callable[[Any], Kernel[Any]]
    check: bool = False

    __name__ = "for_random"

    def __call__(self, trace: Trace[R], /) -> tuple[Trace[R], Moves]:
        """Draw a value, and apply its kernel."""
        call = self.call_at(trace)
        with torch.no_grad():
            kernel = plain_kernel(self.kernel_of(call.sample()))
        moved, info = kernel(trace)
        if self.check:
            after = self.call_at(moved)
            _check_same("the distribution of for_random", kernel, _parts(call), _parts(after))
        return moved, Moves(tuple(moves_of(kernel, info)))

    def call_at(self, trace: Trace[Any]) -> Call[Any]:
        """Return what is drawn from."""
        given = self.distribution
        call: Call[Any] = given if isinstance(given, Call) else given(trace)
        return call


def plain_kernel(kernel: Any) -> Kernel[Any]:
    """Return a kernel that was made within a loop.

    Raises:
        NotPlainError: It adapts.
    """
    if is_adaptive(kernel):
        raise NotPlainError(kernel_name(kernel), "a loop makes it anew at every step")
    plain: Kernel[Any] = kernel
    return plain


def _parts(call: Call[Any]) -> list[Any]:
    return [call.gen_fn, *call.values()]


def _check_same(what: str, kernel: object, before: Any, after: Any) -> None:
    if not values_are_readable():
        raise UncheckableError(what)
    same = (
        len(before) == len(after) and all(map(same_value, before, after))
        if isinstance(before, list)
        else before == after
    )
    if not same:
        raise ControlChangedError(what, kernel_name(kernel), before, after)
