"""The traces of Switch, or_else and Mask: of one branch, or of all where the index cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, final

from torch import Tensor

from gen_combinators.where_values import where_choices, where_number, where_value
from gen_core import ChoiceTrace, Trace, register_trace
from gen_core.readable import values_are_readable

if TYPE_CHECKING:
    from gen_core import Call, ChoiceMap, Path

R_co = TypeVar("R_co", covariant=True)


@final
class BranchTrace(Trace[R_co]):
    """The record of one branch, whose addresses are those of the trace."""

    __slots__ = ("_branch", "_number")

    def __init__(self, call: Call[Any], number: int, branch: Trace[Any]) -> None:
        """Record that `call` took the branch `number`."""
        gen_fn: Any = call.gen_fn
        super().__init__(call, gen_fn.returned(number, branch.retval), branch.score)
        self._number = number
        self._branch = branch

    @property
    def number(self) -> int:
        """Which branch was taken."""
        return self._number

    @property
    def branch(self) -> Trace[Any]:
        """The trace of the branch that was taken."""
        return self._branch

    @property
    def choices(self) -> ChoiceMap:
        """The choices of the branch."""
        return self._branch.choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return what the branch has at `path`."""
        return self._branch.find(path) if path else self

    def visited(self, path: Path) -> bool:
        """Return whether the branch used a constraint at `path`."""
        return self._branch.visited(path)

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that the branch did not use."""
        return self._branch.unvisited(constraints)


@final
class MaskedTrace(Trace[R_co]):
    """The record of all branches, of which the one at `index` counts; the others' choices are arbitrary.

    One trace of a batch of such traces, whose index can be read, is a `BranchTrace`.
    """

    __slots__ = ("_branches", "_choices", "_index")

    def __init__(
        self,
        call: Call[Any],
        index: Tensor,
        branches: Mapping[int, Trace[Any]],
        retval: R_co,
        score: Tensor,
        choices: ChoiceMap,
    ) -> None:
        """Record the runs of all branches by number; `masked` puts the rest together."""
        super().__init__(call, retval, score)
        self._index = index
        self._branches = branches
        self._choices = choices

    @property
    def index(self) -> Tensor:
        """Which branch counts."""
        return self._index

    @property
    def branches(self) -> Mapping[int, Trace[Any]]:
        """The traces of all branches, by number."""
        return self._branches

    @property
    def choices(self) -> ChoiceMap:
        """The choices of all branches; where several have a choice, the value of the one that counts."""
        return self._choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return what is at `path`; where several branches have something, it has the value that counts."""
        if not path:
            return self
        found = {number: each.find(path) for number, each in self._branches.items()}
        known = {number: each for number, each in found.items() if each is not None}
        if len(known) < 2:
            return next(iter(known.values()), None)
        below = self._choices.submap(path)
        score = where_number(self._index, {number: each.score for number, each in known.items()})
        first = next(iter(known.values()))
        if below.is_leaf and all(type(each) is ChoiceTrace for each in known.values()):
            choice: ChoiceTrace[Any] = ChoiceTrace(first.call, below.value)
            choice._score = score
            return choice
        retvals = {number: each.retval for number, each in known.items()}
        retval = where_value(self._index, retvals, self.gen_fn.name)
        return MaskedTrace(first.call, self._index, known, retval, score, below)

    def visited(self, path: Path) -> bool:
        """Return whether any branch used a constraint at `path`, whichever counts."""
        return any(each.visited(path) for each in self._branches.values())

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that no branch used."""
        first, *others = self._branches.values()
        return [path for path in first.unvisited(constraints) if not any(o.visited(path) for o in others)]


def masked(call: Call[Any], index: Tensor, branches: Mapping[int, Trace[Any]]) -> MaskedTrace[Any]:
    """Return the trace of a call of which all branches have run.

    Raises:
        BranchesDifferError: The branches return different kinds of values, or make different kinds of choices
            at one address.
    """
    gen_fn: Any = call.gen_fn
    retval = gen_fn.returned_by_all(index, {number: each.retval for number, each in branches.items()})
    score = where_number(index, {number: each.score for number, each in branches.items()})
    choices = where_choices(index, {n: each.choices for n, each in branches.items()}, gen_fn.name)
    return MaskedTrace(call, index, branches, retval, score, choices)


def _make(call: Any, index: Any, branches: Any, retval: Any, score: Any, choices: Any) -> Any:
    """Put a trace together; one whose index can be read now shows the branch that was taken, and no other."""
    if isinstance(index, Tensor) and not index.dim() and values_are_readable():
        number = int(index)
        if number in branches:
            return BranchTrace(call, number, branches[number])
    return MaskedTrace(call, index, branches, retval, score, choices)


register_trace(BranchTrace, lambda t: (t.call, t.number, t.branch), BranchTrace)
register_trace(
    MaskedTrace, lambda t: (t.call, t.index, dict(t.branches), t.retval, t.score, t.choices), _make
)
