"""The smallest callers: generative functions that visit one other at one address.

`Below` is also the least that an author of a generative function can write: everything but `do_generate`,
`do_project`, `choices` and `find` is derived. `Through` implements every room instead, by entering the same
room of its callee.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final

from gen_core import rooms
from gen_core.call import Call
from gen_core.choicemap import ChoiceMap
from gen_core.choicemap_build import choicemap
from gen_core.interface import GenerativeFunction
from gen_core.results import ArgGradients, ChoiceGradients, Generated, Updated
from gen_core.trace import Trace

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.address import Path
    from gen_core.diff import ArgDiffs
    from gen_core.selection import Selection

P = ParamSpec("P")
R = TypeVar("R")

ADDRESS = "below"
"""Where the callee is visited."""


class Below(GenerativeFunction[P, R]):
    """Visits `callee` at the address "below" and returns what it returns; the other rooms are derived."""

    def __init__(self, callee: GenerativeFunction[P, R]) -> None:
        """Make a caller with the signature of `callee`."""
        super().__init__(f"{type(self).__name__}({callee.name})", callee.signature)
        self.callee = callee

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R]:
        """Generate the callee; its weight is the weight."""
        trace, weight = rooms.generate(self.inner(call), constraints.child(ADDRESS))
        return Generated(BelowTrace(call, trace), weight)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Project the callee."""
        return rooms.project(callee_of(trace), selection.child(ADDRESS))

    @final
    def inner(self, call: Call[Any]) -> Call[R]:
        """Return the callee's call for a call of this function."""
        return Call(self.callee, call.args, call.kwargs)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bool(self.callee == other.callee)

    def __hash__(self) -> int:
        return hash((type(self), self.callee))


@final
class BelowTrace(Trace[R]):
    """The trace of a caller: that of its callee."""

    __slots__ = ("callee",)

    def __init__(self, call: Call[Any], callee: Trace[R]) -> None:
        """Record that `call` ran `callee`."""
        super().__init__(call, callee.retval, callee.score)
        self.callee = callee

    @property
    def choices(self) -> ChoiceMap:
        """The callee's choices, below its address."""
        return choicemap({ADDRESS: self.callee.choices})

    def find(self, path: Path) -> Trace[Any] | None:
        """Return this trace, or what the callee has at the rest of the path."""
        if not path:
            return self
        return self.callee.find(path[1:]) if path[0] == ADDRESS else None


@final
class Through(Below[P, R]):
    """As `Below`, but each room enters the same room of the callee."""

    def do_simulate(self, call: Call[Any], /) -> BelowTrace[R]:
        """Simulate the callee."""
        return BelowTrace(call, rooms.simulate(self.inner(call)))

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> BelowTrace[R]:
        """Assess the callee."""
        return BelowTrace(call, rooms.assess(self.inner(call), choices.child(ADDRESS)))

    def do_sample(self, call: Call[Any], /) -> R:
        """Sample the callee."""
        return rooms.sample(self.inner(call))

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R]:
        """Update the callee, passing hints on."""
        inner = self.inner(call)
        return _around(call, rooms.update(callee_of(trace), inner, argdiffs, constraints.child(ADDRESS)))

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R]:
        """Regenerate the callee, passing hints on."""
        inner = self.inner(call)
        return _around(call, rooms.regenerate(callee_of(trace), inner, argdiffs, selection.child(ADDRESS)))

    def do_choice_gradients(
        self, trace: Trace[Any], selection: Selection, retgrad: object, /
    ) -> ChoiceGradients:
        """Differentiate the callee."""
        args, values, gradients = rooms.choice_gradients(callee_of(trace), selection.child(ADDRESS), retgrad)
        return ChoiceGradients(args, choicemap({ADDRESS: values}), choicemap({ADDRESS: gradients}))

    def do_accumulate_param_gradients(
        self, trace: Trace[Any], retgrad: object, scale_factor: float, /
    ) -> ArgGradients:
        """Accumulate in the callee."""
        return rooms.accumulate_param_gradients(callee_of(trace), retgrad, scale_factor)


def callee_of(trace: Trace[Any]) -> Trace[Any]:
    """Return the trace of the callee of a `Below` or `Through`."""
    assert isinstance(trace, BelowTrace)
    return trace.callee


def _around(call: Call[Any], edited: Updated[R]) -> Updated[R]:
    trace, weight, retdiff, discard = edited
    return Updated(BelowTrace(call, trace), weight, retdiff, choicemap({ADDRESS: discard}))
