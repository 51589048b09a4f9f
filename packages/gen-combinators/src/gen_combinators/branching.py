"""What Switch, or_else and Mask share: one of several generative functions runs.

Where the index can be read, that one runs. In a batch, or while a program is staged, it cannot: then all of
them run, and what the others do is masked (`gen_combinators/masking.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final

from torch import Tensor

from gen_combinators import masking
from gen_combinators.branch_trace import BranchTrace, MaskedTrace
from gen_combinators.composed import Composed
from gen_combinators.where_values import where_value
from gen_core import EMPTY, UNCHANGED, Call, Generated, Updated, derived, rooms
from gen_core.arguments import all_unchanged, compare_arguments
from gen_core.diff import compare_retvals, version_of

if TYPE_CHECKING:
    from gen_core import ArgDiffs, ChoiceMap, Diff, Selection, Trace

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Branching(Composed[P, R_co]):
    """Runs one of several branches, at its own addresses; the first argument says which.

    To write one, say which branch a call takes and with what arguments. A change of branch keeps the choices
    at addresses that both branches have.
    """

    @property
    @abstractmethod
    def num_branches(self) -> int:
        """How many branches there are."""

    @abstractmethod
    def index(self, call: Call[Any]) -> int | Tensor:
        """Return which branch a call takes: an int, or an int64 tensor where values cannot be read."""

    @abstractmethod
    def branch_call(self, call: Call[Any], number: int) -> Call[Any]:
        """Return the call of one branch."""

    def branch_diffs(self, argdiffs: ArgDiffs, old: Trace[Any], call: Call[Any]) -> ArgDiffs:
        """Return how the arguments of a branch that is taken again changed."""
        return compare_arguments(old.call.values(), call.values(), old.versions)

    def returned(self, number: int, retval: Any) -> Any:
        """Return what this function returns where the branch `number` is taken and returns `retval`."""
        return retval

    def returned_diff(self, diff: Diff) -> Diff:
        """Return how what this function returns differs where what the branch returns differs by `diff`."""
        return diff

    def returned_by_all(self, index: Tensor, retvals: Mapping[int, Any]) -> Any:
        """Return what this function returns where all branches have run.

        Raises:
            BranchesDifferError: The branches return values of different kinds; names the leaf.
        """
        return where_value(index, retvals, self.name)

    @final
    def do_simulate(self, call: Call[Any], /) -> Trace[R_co]:
        """Simulate the branch."""
        index = self.index(call)
        if isinstance(index, Tensor):
            return masking.simulate(self, call, index)
        return BranchTrace(call, index, rooms.simulate(self.branch_call(call, index)))

    @final
    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """Generate the branch; its weight is the weight."""
        index = self.index(call)
        if isinstance(index, Tensor):
            return masking.generate(self, call, index, constraints)
        trace, weight = rooms.generate(self.branch_call(call, index), constraints)
        return Generated(BranchTrace(call, index, trace), weight)

    @final
    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[R_co]:
        """Assess the branch."""
        index = self.index(call)
        if isinstance(index, Tensor):
            return masking.assess(self, call, index, choices)
        return BranchTrace(call, index, rooms.assess(self.branch_call(call, index), choices))

    @final
    def do_sample(self, call: Call[Any], /) -> R_co:
        """Sample the branch."""
        index = self.index(call)
        if isinstance(index, Tensor):
            retvals = {
                number: rooms.sample(self.branch_call(call, number)) for number in range(self.num_branches)
            }
            value: R_co = self.returned_by_all(index, retvals)
        else:
            value = self.returned(index, rooms.sample(self.branch_call(call, index)))
        return value

    @final
    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Update the branch; another branch is generated under the old choices, overridden.

        weight = the branch's update weight, or the other branch's generate weight - the old score
        """
        index = self._new_index(trace, call, argdiffs)
        if isinstance(index, Tensor) or isinstance(trace, MaskedTrace):
            return masking.update(self, trace, call, index, argdiffs, constraints)
        old = branch_of(trace)
        new = self.branch_call(call, index)
        if index != trace.number:  # type: ignore[attr-defined]
            return self._moved(trace, call, index, derived.update(old, new, constraints))
        diffs = self.branch_diffs(argdiffs, old, new)
        if constraints.is_empty and all_unchanged(diffs):
            return self._kept(trace, call, index)
        return self._edited(call, index, rooms.update(old, new, diffs, constraints))

    @final
    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Regenerate the branch; another branch is generated under the old choices that are not selected.

        weight = the branch's regenerate weight, or the other branch's generate weight - the old branch's
        project of its addresses in the new one that are not selected
        """
        index = self._new_index(trace, call, argdiffs)
        if isinstance(index, Tensor) or isinstance(trace, MaskedTrace):
            return masking.regenerate(self, trace, call, index, argdiffs, selection)
        old = branch_of(trace)
        new = self.branch_call(call, index)
        if index != trace.number:  # type: ignore[attr-defined]
            return self._moved(trace, call, index, derived.regenerate(old, new, selection))
        diffs = self.branch_diffs(argdiffs, old, new)
        return self._edited(call, index, rooms.regenerate(old, new, diffs, selection))

    @final
    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Project the branch."""
        if isinstance(trace, MaskedTrace):
            return masking.project(trace, selection)
        return rooms.project(branch_of(trace), selection)

    def _new_index(self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs) -> int | Tensor:
        given, before = call.args[0], trace.args[0]
        # The same tensor as before is the same index, also where everything is to be visited again.
        if argdiffs[0] is UNCHANGED or (given is before and version_of(given) == trace.versions[0]):
            index: int | Tensor = trace.index if isinstance(trace, MaskedTrace) else trace.number  # type: ignore[attr-defined]
            return index
        return self.index(call)

    def _kept(self, trace: Trace[Any], call: Call[Any], index: int) -> Updated[R_co]:
        kept: BranchTrace[Any] = BranchTrace(call, index, branch_of(trace))
        return Updated(kept, trace.score.new_zeros(()), UNCHANGED, EMPTY)

    def _edited(self, call: Call[Any], index: int, edited: Updated[Any]) -> Updated[R_co]:
        trace: BranchTrace[Any] = BranchTrace(call, index, edited.trace)
        return Updated(trace, edited.weight, self.returned_diff(edited.retdiff), edited.discard)

    def _moved(self, old: Trace[Any], call: Call[Any], index: int, edited: Updated[Any]) -> Updated[R_co]:
        trace: BranchTrace[Any] = BranchTrace(call, index, edited.trace)
        # What is returned may depend on the branch, as that of a Mask does.
        retdiff: Diff = compare_retvals(old.retval, trace.retval, old.retval_version)
        return Updated(trace, edited.weight, retdiff, edited.discard)


def branch_of(trace: Trace[Any]) -> Trace[Any]:
    """Return the trace of the branch that was taken."""
    assert isinstance(trace, BranchTrace)
    return trace.branch
