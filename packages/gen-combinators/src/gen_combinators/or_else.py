"""`or_else`: one of two generative functions, each with its own arguments; and one of many."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

import torch
from torch import Tensor

from gen_combinators.branching import Branching
from gen_combinators.errors import FlagError
from gen_combinators.switch import bound, branch_index, checked_branches
from gen_core.readable import values_are_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gen_core import Call, GenerativeFunction

R1 = TypeVar("R1")
R2 = TypeVar("R2")
R_co = TypeVar("R_co", covariant=True)

Flag: TypeAlias = bool | Tensor
"""A bool, or a boolean tensor of shape ()."""
Arguments: TypeAlias = tuple[Any, ...]
"""The arguments of one branch, in order."""


def or_else(
    on_true: Callable[..., Call[R1]], on_false: Callable[..., Call[R2]]
) -> GenerativeFunction[[Flag, Arguments, Arguments], R1 | R2]:
    """Return the generative function that runs `on_true` where a condition holds, and else `on_false`.

    Its arguments are the condition and a tuple of arguments for each. In everything else it is a `Switch`.

    >>> or_else(normal, gamma)(x > 0, (x, 1.0), (2.0, 2.0)) @ "y"

    Raises:
        KernelError: `on_true` or `on_false` is no generative function.
    """
    return OrElse(on_true, on_false)


class SwitchEach(Branching[..., R_co]):
    """Runs one of several branches: its arguments are the index, and a tuple of arguments for each branch."""

    def __init__(self, name: str, branches: Sequence[Any], parameters: Sequence[str]) -> None:
        """Make a generative function whose parameters have these names, that of the index first."""
        self.branches = checked_branches(name, branches)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        signature = inspect.Signature([inspect.Parameter(parameter, kind) for parameter in parameters])
        super().__init__(f"{name}({', '.join(branch.name for branch in branches)})", signature)

    @property
    @final
    def parts(self) -> tuple[object, ...]:
        """The branches."""
        return self.branches

    @property
    @final
    def num_branches(self) -> int:
        """How many branches there are."""
        return len(self.branches)

    def index(self, call: Call[Any]) -> int | Tensor:
        """Return the index, checked where it can be read."""
        return branch_index(self.name, call.args[0], len(self.branches))

    @final
    def branch_call(self, call: Call[Any], number: int) -> Call[Any]:
        """Return the branch on its own arguments."""
        return bound(self.name, number, self.branches[number], call.args[1 + number], {})


@final
class OrElse(SwitchEach[R_co]):
    """One of two branches; users write `or_else`. Branch 0 is the one where the condition holds."""

    def __init__(self, on_true: Any, on_false: Any) -> None:
        """Make a generative function of two."""
        super().__init__("or_else", [on_true, on_false], ["condition", "true_args", "false_args"])

    def index(self, call: Call[Any]) -> int | Tensor:
        """Return 0 where the condition holds, else 1."""
        condition = flag(self.name, "condition", call.args[0])
        return 1 - condition.to(torch.int64) if isinstance(condition, Tensor) else int(not condition)


def flag(function: str, parameter: str, given: object) -> bool | Tensor:
    """Return a flag as a bool, or as a tensor where values cannot be read.

    Raises:
        FlagError: It is neither a bool nor a boolean tensor of shape ().
    """
    if isinstance(given, Tensor):
        if given.dim() or given.dtype != torch.bool:
            raise FlagError(function, parameter, given)
        return bool(given) if values_are_readable() else given
    if given is True or given is False:
        return given
    raise FlagError(function, parameter, given)
