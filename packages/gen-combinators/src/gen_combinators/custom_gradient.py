"""Custom functions with a hand-written gradient, which autograd uses wherever they are called."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import torch

from gen_combinators.custom import CustomDeterministic
from gen_combinators.custom_autograd import with_hand_written_gradient

if TYPE_CHECKING:
    from gen_core import Call

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class CustomGradient(CustomDeterministic[P, R, S]):
    """A custom deterministic function whose author writes the gradient.

    `execute` may do what autograd cannot follow: call a solver, another library, or a formula whose
    derivative is known to be simpler. Whoever differentiates a model that calls this function goes through
    `gradient`, under `torch.func` and in batches too. It speaks of the arguments only, so the function may
    not have trainable parameters.

    Example:
        >>> class Solve(CustomGradient[[Tensor, Tensor], Tensor, None]):
        ...     def execute(self, a: Tensor, b: Tensor) -> tuple[Tensor, None]:
        ...         return torch.linalg.solve(a, b), None
        ...
        ...     def gradient(self, args, retval, retgrad, state):
        ...         b_gradient = torch.linalg.solve(args[0].mT, retgrad)
        ...         return -torch.outer(b_gradient, retval), b_gradient
    """

    @abstractmethod
    def gradient(self, args: tuple[Any, ...], retval: R, retgrad: Any, state: S) -> Sequence[Any]:
        """Return the gradient of <retval, retgrad> in each argument.

        Args:
            args: The arguments in the order of the parameters; numbers may come as tensors.
            retval: What `execute` returned.
            retgrad: In the structure of `retval`: a tensor for each floating point tensor, else None.
            state: The state that `execute` returned.

        Returns:
            For each argument, a tensor of its shape, or for containers the same structure of tensors; None
            where there is no gradient.
        """

    def executed(self, call: Call[Any]) -> tuple[R, S]:
        """Return the value, whose gradient is the hand-written one, and the state.

        Raises:
            GradientError: `execute` used something else that requires a gradient; `gradient` returned
                another number of gradients than there are arguments, or one of another shape.
        """
        execute = super().executed
        if not torch.is_grad_enabled():
            return execute(call)
        return with_hand_written_gradient(self, execute, call)
