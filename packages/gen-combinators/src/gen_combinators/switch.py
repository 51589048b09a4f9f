"""`Switch`: one of several generative functions of the same arguments, chosen by an index."""

from __future__ import annotations

import inspect
import operator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, final, overload

import torch
from torch import Tensor

from gen_combinators.branching import Branching
from gen_combinators.errors import BranchArgumentsError, BranchIndexError, KernelError, NoBranchesError
from gen_core import Call, GenerativeFunction
from gen_core.readable import values_are_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gen_core import ArgDiffs, Trace

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")

Index: TypeAlias = int | Tensor
"""Which branch, from 0: an int, a bool, or an integer tensor of shape ()."""


@final
class Switch(Branching[Concatenate[Index, P], R_co], Generic[P, R_co]):
    """Runs one of several branches: its arguments are `(index, *args)`, and the branch's are `args`.

    The choices have the branch's own addresses. So an edit that changes the branch keeps the choices at
    addresses that both branches have, discards those that the new one lacks and draws those that are new.
    The score and all weights are those of the branch that is taken.

    In a batch, and in a compiled program, an index that is a tensor cannot be read. Then every branch runs,
    and what the others do is masked: the choices are those of all branches, and where several have a choice
    (of one shape and dtype) the value is the taken one's; constraints on any branch count as visited; a
    discard has what any element of the batch may have lost. One trace of the batch shows only the branch that
    it took. A choice that `assess` lacks makes the score NaN if its branch is taken. An index out of range
    makes the score NaN.

    Example:
        >>> shape = Switch(circle, square)
        >>> size = shape(bernoulli(0.3) @ "is_square", 2.0) @ "shape"
    """

    @overload
    def __init__(self: Switch[Q, R], first: Callable[Q, Call[R]], /) -> None: ...
    @overload
    def __init__(
        self: Switch[Q, R1 | R2], first: Callable[Q, Call[R1]], second: Callable[Q, Call[R2]], /
    ) -> None: ...
    @overload
    def __init__(
        self: Switch[Q, R1 | R2 | R3],
        first: Callable[Q, Call[R1]],
        second: Callable[Q, Call[R2]],
        third: Callable[Q, Call[R3]],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: Switch[Q, R1 | R2 | R3 | R4],
        first: Callable[Q, Call[R1]],
        second: Callable[Q, Call[R2]],
        third: Callable[Q, Call[R3]],
        fourth: Callable[Q, Call[R4]],
        /,
    ) -> None: ...
    @overload
    def __init__(self: Switch[Q, R], *branches: Callable[Q, Call[R]]) -> None: ...
    def __init__(self, *branches: Any) -> None:
        """Make a generative function of branches that take the same arguments.

        Raises:
            NoBranchesError: There is no branch.
            KernelError: A branch is no generative function.
        """
        self.branches = checked_branches("Switch", branches)
        super().__init__(f"Switch({', '.join(b.name for b in branches)})", _signature(self.branches))

    @property
    def parts(self) -> tuple[object, ...]:
        """The branches."""
        return self.branches

    @property
    def num_branches(self) -> int:
        """How many branches there are."""
        return len(self.branches)

    def index(self, call: Call[Any]) -> int | Tensor:
        """Return the index, checked where it can be read."""
        return branch_index(self.name, call.args[0], len(self.branches))

    def branch_call(self, call: Call[Any], number: int) -> Call[Any]:
        """Return the branch on all arguments but the index."""
        return bound(self.name, number, self.branches[number], call.args[1:], call.kwargs)

    def branch_diffs(self, argdiffs: ArgDiffs, old: Trace[Any], call: Call[Any]) -> ArgDiffs:
        """Return the hints of all arguments but the index."""
        diffs = argdiffs[1:]
        if len(diffs) == len(call.values()):
            return diffs
        return super().branch_diffs(argdiffs, old, call)  # the branch has defaults of its own


def branch_index(function: str, given: Any, num_branches: int) -> int | Tensor:
    """Return an index as an int, or as an int64 tensor where values cannot be read.

    Raises:
        BranchIndexError: It is no index, or out of range.
    """
    index: Any = given
    if isinstance(given, Tensor):
        if given.dim() or given.is_floating_point() or given.is_complex():
            raise BranchIndexError(function, given, num_branches)
        if not values_are_readable():
            return given.to(torch.int64)
        index = int(given)
    try:
        number = operator.index(index)
    except TypeError:
        raise BranchIndexError(function, given, num_branches) from None
    if not 0 <= number < num_branches:
        raise BranchIndexError(function, given, num_branches)
    return number


def checked_branches(combinator: str, branches: Sequence[Any]) -> tuple[GenerativeFunction[..., Any], ...]:
    """Return the branches as a tuple.

    Raises:
        NoBranchesError: There is no branch.
        KernelError: A branch is no generative function.
    """
    if not branches:
        raise NoBranchesError(combinator)
    for branch in branches:
        if not isinstance(branch, GenerativeFunction):
            raise KernelError(combinator, branch, "be a generative function")
    return tuple(branches)


def bound(
    function: str, number: int, branch: GenerativeFunction[..., Any], args: Sequence[Any], kwargs: Any
) -> Call[Any]:
    """Return the call of a branch.

    Raises:
        BranchArgumentsError: The branch does not take these arguments.
    """
    try:
        return branch(*args, **kwargs)
    except TypeError as error:
        raise BranchArgumentsError(function, number, branch.name, error) from None


def _signature(branches: Sequence[GenerativeFunction[..., Any]]) -> inspect.Signature:
    """Return `(index, ...)` with the branches' parameters, or `(index, *args)` if these differ."""
    index = inspect.Parameter("index", inspect.Parameter.POSITIONAL_ONLY)
    own = [list(branch.signature.parameters.values()) for branch in branches]
    described = [[(each.name, each.kind, each.default) for each in parameters] for parameters in own]
    if all(each == described[0] for each in described) and index.name not in branches[0].signature.parameters:
        return inspect.Signature([index, *own[0]])
    rest = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
    named = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
    return inspect.Signature([index, rest, named])
