"""`Scan`: a kernel that carries something from one input to the next, and returns something for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, final

import numpy as np
import torch
from torch import Tensor

from gen_combinators.errors import InputsError, StepRetvalError
from gen_combinators.unfold_steps import Stepwise
from gen_combinators.vector import Vector
from gen_core import UNCHANGED, UNKNOWN, VectorDiff
from gen_core.columns import Columns
from gen_core.diff import compare, is_comparing_plainly, version_of
from gen_core.readable import values_are_readable

if TYPE_CHECKING:
    from gen_combinators.unfold_trace import StepwiseTrace
    from gen_core import Call, Diff

P = ParamSpec("P")
C = TypeVar("C")
D = TypeVar("D")
X = TypeVar("X")
Y = TypeVar("Y")


@final
class Scan(
    Stepwise[Concatenate[C, "Sequence[X] | Tensor", P], tuple[D, Sequence[Y]]], Generic[C, X, P, D, Y]
):
    """Runs a kernel `(carry, x, *params) -> (carry, y)` for each of `xs`, each on the carry before.

    Its arguments are `(init, xs, *params)`, with `xs` a sequence, or a tensor of which the first dimension is
    the steps'; it returns the last carry and the sequence of the `y`s, and the choices of step i lie below
    the address i. It is `Unfold` for kernels that have an input and an output at each step, as in
    `jax.lax.scan`, and edits cost as little: an edit starts where something is constrained or selected or an
    `x` changed, and goes on until the carry is what it was.

    Example:
        >>> @gen
        ... def step(total: Tensor, x: float) -> tuple[Tensor, Tensor]:
        ...     y = normal(x, 1.0) @ "y"
        ...     return total + y, y
        >>> trace = Scan(step).simulate(torch.zeros(()), [0.1, 0.2, 0.3])
        >>> total, ys = trace.retval
    """

    carry_place = 0

    def __init__(self, kernel: Callable[Concatenate[C, X, P], Call[tuple[D, Y]]]) -> None:
        """Make a generative function of `kernel`.

        Raises:
            KernelError: `kernel` is no generative function, or does not take a carry and an input.
        """
        super().__init__(kernel, ("init", "xs"))

    def length(self, call: Call[Any]) -> int:
        """Return the number of inputs.

        Raises:
            InputsError: They have no length.
        """
        xs = call.args[1]
        if isinstance(xs, Tensor | np.ndarray):
            has_length = xs.ndim > 0
        else:
            has_length = isinstance(xs, Sequence) and not isinstance(xs, str | bytes)
        if not has_length:
            raise InputsError(self.name, xs)
        return len(xs)

    def step_input(self, call: Call[Any], step: int) -> Any:
        """Return the input of a step."""
        return call.args[1][step]

    def input_diffs(
        self, old: StepwiseTrace[Any], call: Call[Any], diff: Diff, kept: int
    ) -> Mapping[int, Diff]:
        """Return how inputs differ: as the hint says, else as comparing them says."""
        if diff is UNCHANGED:
            return {}
        if isinstance(diff, VectorDiff):
            return {step: own for step, own in diff.updated.items() if step < kept and own is not UNCHANGED}
        if not is_comparing_plainly():
            return dict.fromkeys(range(kept), UNKNOWN)
        before, now = old.args[1], call.args[1]
        if isinstance(before, Tensor) and isinstance(now, Tensor):
            return dict.fromkeys(_changed_rows(before, now, old.versions[1], kept), UNKNOWN)
        if isinstance(before, tuple | range) and version_of(before) == old.versions[1]:
            diffs = {i: compare(before[i], now[i], version_of(before[i])) for i in range(kept)}
        else:  # what may have been changed in place is compared with what the step was given
            steps = [old.elements[i] for i in range(kept)]
            diffs = {i: compare(step.args[1], now[i], step.versions[1]) for i, step in enumerate(steps)}
        return {step: own for step, own in diffs.items() if own is not UNCHANGED}

    def carry(self, retval: Any) -> Any:
        """Return what a step carries on.

        Raises:
            StepRetvalError: The kernel did not return a pair.
        """
        if not isinstance(retval, tuple) or len(retval) != 2:
            raise StepRetvalError(self.name, retval)
        return retval[0]

    def result(self, call: Call[Any], retvals: Vector[Any]) -> Any:
        """Return the last carry, and the outputs."""
        carry = retvals[-1][0] if len(retvals) else call.args[0]
        return carry, Vector.reading(_Outputs(retvals))

    def retdiff(self, new_length: int, old_length: int, updated: Mapping[int, Diff]) -> Diff:
        """Return whether anything changed."""
        return UNCHANGED if new_length == old_length and not updated else UNKNOWN


@final
class _Outputs:
    """The second parts of what the steps returned."""

    def __init__(self, retvals: Vector[Any]) -> None:
        self._retvals = retvals

    def __len__(self) -> int:
        return len(self._retvals)

    def value(self, index: int, /) -> Any:
        return self._retvals[index][1]

    def columns(self) -> Columns | None:
        return _second(self._retvals.source.columns())

    def held(self) -> Columns | None:
        return _second(self._retvals.source.held())


def _second(columns: Columns | None) -> Columns | None:
    return None if columns is None else columns.part(columns.whole[1])


def _changed_rows(before: Tensor, now: Tensor, version: int, kept: int) -> Sequence[int]:
    """Return which of the first rows differ, by value where that can be told; NaN differs from itself."""
    alike = before.shape[1:] == now.shape[1:] and before.dtype == now.dtype and before.device == now.device
    if not alike or before._version != version or not values_are_readable() or not kept:
        return range(kept)
    differs = (before[:kept] != now[:kept]).reshape(kept, -1).any(1)
    changed: list[int] = torch.nonzero(differs).squeeze(1).tolist()
    return changed
