"""`Unfold`: a kernel that is run on its own result, step after step."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, final

import torch
from torch import Tensor

from gen_combinators.errors import LengthError, LengthTypeError
from gen_combinators.unfold_steps import Stepwise
from gen_core import UNCHANGED, VectorDiff

if TYPE_CHECKING:
    from gen_combinators.unfold_trace import StepwiseTrace
    from gen_combinators.vector import Vector
    from gen_core import Call, Diff

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


@final
class Unfold(Stepwise[Concatenate["int | Tensor", S, P], Sequence[R]], Generic[S, P, R]):
    """Runs a kernel `(t, state, *params) -> state` for t = 0, 1, ..., each on the state before.

    Its arguments are `(length, initial_state, *params)`, with the length an int or an integer tensor of
    shape `()`; its return value is the sequence of the states after each step, and the choices of step t lie
    below the address t. The score is the sum of the steps'. A state may be anything.

    An edit visits the steps that it touches, and from each walks on until a step returns the state that it
    returned before; a new parameter touches all steps. So extending by k steps costs k runs of the kernel,
    however many there are.

    Example:
        >>> @gen
        ... def step(t: int, x: Tensor | float, drift: float) -> Tensor:
        ...     x = normal(x + drift, 1.0) @ "x"
        ...     normal(x, 0.5) @ "y"
        ...     return x
        >>> chain = Unfold(step)
        >>> trace, _ = chain.generate({(0, "y"): 0.3, (1, "y"): 0.5}, 2, 0.0, 0.1)
        >>> trace.update({(2, "y"): 0.8}, chain(3, 0.0, 0.1))
    """

    carry_place = 1

    def __init__(self, kernel: Callable[Concatenate[int, S, P], Call[R]]) -> None:
        """Make a generative function of `kernel`.

        Raises:
            KernelError: `kernel` is no generative function, or does not take a step and a state.
        """
        super().__init__(kernel, ("length", "initial_state"))

    def length(self, call: Call[Any]) -> int:
        """Return the length as it was given.

        Raises:
            LengthError: It is negative.
            LengthTypeError: It is no integer.
        """
        given = call.args[0]
        if isinstance(given, bool) or (isinstance(given, Tensor) and given.dtype == torch.bool):
            raise LengthTypeError(self.name, given)
        try:
            length = operator.index(given)
        except TypeError:
            raise LengthTypeError(self.name, given) from None
        if length < 0:
            raise LengthError(self.name, length)
        return length

    def step_input(self, call: Call[Any], step: int) -> int:
        """Return the number of the step."""
        return step

    def input_diffs(
        self, old: StepwiseTrace[Any], call: Call[Any], diff: Diff, kept: int
    ) -> Mapping[int, Diff]:
        """Return nothing: a step's number is always the same."""
        return {}

    def carry(self, retval: Any) -> Any:
        """Return the state after a step."""
        return retval

    def result(self, call: Call[Any], retvals: Vector[R]) -> Vector[R]:
        """Return the states."""
        return retvals

    def retdiff(self, new_length: int, old_length: int, updated: Mapping[int, Diff]) -> Diff:
        """Return which states changed."""
        if new_length == old_length and not updated:
            return UNCHANGED
        return VectorDiff(new_length, old_length, updated)
