"""`Mask`: a generative function that runs only where a flag is true."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, final

import torch
from torch import Tensor

from gen_combinators.branching import Branching
from gen_combinators.masked import Masked
from gen_combinators.nothing import NOTHING
from gen_combinators.or_else import Flag, flag
from gen_combinators.switch import bound, checked_branches
from gen_core import UNCHANGED, UNKNOWN, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gen_core import ArgDiffs, Diff, Trace

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


@final
class Mask(Branching[Concatenate[Flag, P], Masked[R_co]], Generic[P, R_co]):
    """Runs a kernel if a flag is true: its arguments are `(flag, *args)`, and it returns a `Masked`.

    The choices have the kernel's own addresses. Where the flag is false there are none, the score is 0, and a
    constraint is one that was not visited. In a batch, and in a compiled program, a flag that is a tensor
    cannot be read: then the kernel runs and its score and weights are masked, the choices are there, and
    constraints on them count as visited.

    Where the kernel is a distribution, `trace.choices[address]` is the value and `trace[address]` the
    `Masked` that was returned.

    Example:
        >>> seen = Mask(normal)(is_seen, x, 0.1) @ "seen"
        >>> total = seen.or_else(0.0) + 1.0
    """

    def __init__(self, kernel: Callable[P, Call[R_co]]) -> None:
        """Make a generative function of a kernel.

        Raises:
            KernelError: `kernel` is no generative function.
        """
        (self.kernel,) = checked_branches("Mask", [kernel])
        super().__init__(f"Mask({self.kernel.name})", _signature(self.kernel.signature))

    @property
    def parts(self) -> tuple[object, ...]:
        """The kernel."""
        return (self.kernel,)

    @property
    def num_branches(self) -> int:
        """Two: nothing, and the kernel."""
        return 2

    def index(self, call: Call[Any]) -> int | Tensor:
        """Return 1 where the flag is true, else 0."""
        is_there = flag(self.name, "flag", call.args[0])
        return is_there.to(torch.int64) if isinstance(is_there, Tensor) else int(is_there)

    def branch_call(self, call: Call[Any], number: int) -> Call[Any]:
        """Return the kernel on all arguments but the flag, or nothing."""
        if not number:
            return Call(NOTHING, ())
        return bound(self.name, number, self.kernel, call.args[1:], call.kwargs)

    def branch_diffs(self, argdiffs: ArgDiffs, old: Trace[Any], call: Call[Any]) -> ArgDiffs:
        """Return the hints of all arguments but the flag."""
        return argdiffs[1 : 1 + len(call.values())]

    def returned(self, number: int, retval: Any) -> Masked[R_co]:
        """Return the kernel's value, or none."""
        return Masked(retval, number == 1)

    def returned_diff(self, diff: Diff) -> Diff:
        """Return UNCHANGED or UNKNOWN: a `Masked` has no elements that a hint could speak of."""
        return diff if diff is UNCHANGED else UNKNOWN

    def returned_by_all(self, index: Tensor, retvals: Mapping[int, Any]) -> Masked[R_co]:
        """Return the kernel's value with the flag."""
        return Masked(retvals[1], index == 1)


def _signature(kernel: inspect.Signature) -> inspect.Signature:
    # Under another name if the kernel has a parameter `flag` itself.
    name = "flag" if "flag" not in kernel.parameters else "mask_flag"
    given = inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY)
    return kernel.replace(parameters=[given, *kernel.parameters.values()], return_annotation=Masked)
