"""The smallest callers: generative functions that visit one other at one address.

`Below` is also the least that an author of a generative function can write: everything but `do_generate`,
`do_project`, `choices` and `find` is derived, and one line makes its traces pytrees. `Through` implements
every room instead, by entering the same room of its callee while a handler of its own is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final

from gen_core import rooms
from gen_core.call import Call
from gen_core.choicemap import ChoiceMap
from gen_core.choicemap_build import choicemap
from gen_core.interface import GenerativeFunction
from gen_core.pytree import register_trace
from gen_core.results import ArgGradients, ChoiceGradients, Generated, Updated
from gen_core.run import current_handler, run
from gen_core.trace import Trace

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

    from gen_core.address import Path
    from gen_core.diff import ArgDiffs
    from gen_core.run import Running
    from gen_core.selection import Selection

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

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
    """As `Below`, but each room enters the same room of the callee, which must keep the caller's handler."""

    def do_simulate(self, call: Call[Any], /) -> BelowTrace[R]:
        """Simulate the callee."""
        return BelowTrace(call, _visit(call, rooms.simulate, self.inner(call)))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R]:
        """Generate the callee."""
        trace, weight = _visit(call, rooms.generate, self.inner(call), constraints.child(ADDRESS))
        return Generated(BelowTrace(call, trace), weight)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> BelowTrace[R]:
        """Assess the callee."""
        return BelowTrace(call, _visit(call, rooms.assess, self.inner(call), choices.child(ADDRESS)))

    def do_sample(self, call: Call[Any], /) -> R:
        """Sample the callee."""
        value: R = _visit(call, rooms.sample, self.inner(call))
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R]:
        """Update the callee, passing hints on."""
        below = constraints.child(ADDRESS)
        return _around(call, _visit(call, rooms.update, callee_of(trace), self.inner(call), argdiffs, below))

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R]:
        """Regenerate the callee, passing hints on."""
        below = selection.child(ADDRESS)
        return _around(
            call, _visit(call, rooms.regenerate, callee_of(trace), self.inner(call), argdiffs, below)
        )

    def do_choice_gradients(
        self, trace: Trace[Any], selection: Selection, retgrad: object, /
    ) -> ChoiceGradients:
        """Differentiate the callee."""
        below = selection.child(ADDRESS)
        args, values, gradients = rooms.choice_gradients(callee_of(trace), below, retgrad)
        return ChoiceGradients(args, choicemap({ADDRESS: values}), choicemap({ADDRESS: gradients}))

    def do_accumulate_param_gradients(
        self, trace: Trace[Any], retgrad: object, scale_factor: float, /
    ) -> ArgGradients:
        """Accumulate in the callee."""
        return rooms.accumulate_param_gradients(callee_of(trace), retgrad, scale_factor)


def _visit(call: Call[Any], room: Callable[..., T], *args: Any) -> T:
    """Enter a room of the callee as the running body of `call` does."""
    handler = _Caller(call)

    def body() -> T:
        result = room(*args)
        current: object = current_handler()
        if current is not handler:
            raise RuntimeError(f"{call.gen_fn.name} called a function that left another handler behind.")
        return result

    return run(handler, body, (), {})


@final
class _Caller:
    """The handler of a body that visits no more than its callee."""

    outer: Running | None = None

    def __init__(self, call: Call[Any]) -> None:
        self.call = call
        self.gen_fn = call.gen_fn

    def visit(self, call: Call[Any], address: object, /) -> Any:
        raise RuntimeError(f"{call!r} @ {address!r} ran while {self.gen_fn.name} was running.")

    def param(self, name: str, init: object, constraint: Constraint | None, /) -> Tensor:
        raise RuntimeError(f"param({name!r}, ...) ran while {self.gen_fn.name} was running.")


register_trace(BelowTrace, lambda trace: (trace.call, trace.callee), BelowTrace)


def callee_of(trace: Trace[Any]) -> Trace[Any]:
    """Return the trace of the callee of a `Below` or `Through`."""
    assert isinstance(trace, BelowTrace)
    return trace.callee


def _around(call: Call[Any], edited: Updated[R]) -> Updated[R]:
    trace, weight, retdiff, discard = edited
    return Updated(BelowTrace(call, trace), weight, retdiff, choicemap({ADDRESS: discard}))
