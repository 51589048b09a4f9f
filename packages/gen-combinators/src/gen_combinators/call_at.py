"""`call_at` and `choice_at`: a generative function, or a distribution, at a computed address."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, final

from gen_combinators.composed import Composed
from gen_combinators.errors import ComputedKeyError, KernelError
from gen_core import (
    EMPTY,
    UNCHANGED,
    Address,
    AddressError,
    Call,
    Distribution,
    Generated,
    GenerativeFunction,
    Trace,
    Updated,
    derived,
    register_trace,
    rooms,
)
from gen_core.address import as_path
from gen_core.arguments import all_unchanged
from gen_core.choicemap_build import graft

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, ChoiceMap, Path, Selection

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


def call_at(kernel: GenerativeFunction[P, R]) -> GenerativeFunction[Concatenate[Address, P], R]:
    """Return the generative function `(key, *args)` that visits `kernel(*args)` at the address `key`.

    Its choices are those of the kernel, below the key. Under another key they are other choices: those under
    the old key are gone, and new ones are drawn. In a batch the key is a constant.

    >>> call_at(walk)(("room", i), 10) @ "walks"  # its choices are at ("walks", "room", i, ...)

    Raises:
        KernelError: `kernel` is no generative function.
    """
    return CallAt(kernel, "call_at")


def choice_at(distribution: Distribution[P, R]) -> GenerativeFunction[Concatenate[Address, P], R]:
    """Return the generative function `(key, *args)` that draws from a distribution at the address `key`.

    As `call_at`, for distributions: the choice is at the key itself.

    >>> choice_at(normal)(i, 0.0, 1.0) @ "ys"  # the choice is at ("ys", i)

    Raises:
        KernelError: `distribution` is not a distribution.
    """
    if not isinstance(distribution, Distribution):
        raise KernelError("choice_at", distribution, "be a distribution (for others there is `call_at`)")
    return CallAt(distribution, "choice_at")


@final
class CallAt(Composed[Concatenate[Address, P], R_co], Generic[P, R_co]):
    """A kernel at a computed address; users write `call_at(kernel)`."""

    def __init__(self, kernel: GenerativeFunction[P, R_co], name: str) -> None:
        """Make a generative function of `kernel`."""
        if not isinstance(kernel, GenerativeFunction):
            raise KernelError(name, kernel, "be a generative function")
        self.kernel = kernel
        super().__init__(f"{name}({kernel.name})", _signature(kernel.signature))

    @property
    def parts(self) -> tuple[object, ...]:
        """The kernel."""
        return (self.kernel,)

    def do_simulate(self, call: Call[Any], /) -> CallAtTrace[R_co]:
        """Simulate the kernel."""
        return CallAtTrace(call, self._key(call), rooms.simulate(self._inner(call)))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """Weight: that of the kernel."""
        key = self._key(call)
        trace, weight = rooms.generate(self._inner(call), constraints.submap(key))
        return Generated(CallAtTrace(call, key, trace), weight)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> CallAtTrace[R_co]:
        """Assess the kernel."""
        key = self._key(call)
        return CallAtTrace(call, key, rooms.assess(self._inner(call), choices.submap(key)))

    def do_sample(self, call: Call[Any], /) -> R_co:
        """Sample the kernel."""
        self._key(call)
        return rooms.sample(self._inner(call))

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Weight: that of the kernel; under another key, its generate weight - the old score."""
        old, key = _kernel_trace(trace), self._key(call)
        if key != old.key:
            return derived.update(trace, call, constraints)
        given = constraints.submap(key)
        if given.is_empty and all_unchanged(argdiffs[1:]):
            kept: CallAtTrace[Any] = CallAtTrace(call, key, old.kernel)
            return Updated(kept, trace.score.new_zeros(()), UNCHANGED, EMPTY)
        return _edited(call, key, rooms.update(old.kernel, self._inner(call), argdiffs[1:], given))

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Weight: that of the kernel; under another key, minus the old project(NONE)."""
        old, key = _kernel_trace(trace), self._key(call)
        if key != old.key:
            return derived.regenerate(trace, call, selection)
        below = selection.under(key)
        return _edited(call, key, rooms.regenerate(old.kernel, self._inner(call), argdiffs[1:], below))

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Project the kernel."""
        old = _kernel_trace(trace)
        return rooms.project(old.kernel, selection.under(old.key))

    def _inner(self, call: Call[Any]) -> Call[R_co]:
        return Call(self.kernel, call.args[1:], call.kwargs)

    def _key(self, call: Call[Any]) -> Path:
        given = call.args[0]
        try:
            key = as_path(given)
        except AddressError:
            raise ComputedKeyError(self.name, given) from None
        if not key:
            raise ComputedKeyError(self.name, given)
        return key


@final
class CallAtTrace(Trace[R_co]):
    """The record of a kernel at a computed address."""

    __slots__ = ("_kernel", "_key")

    def __init__(self, call: Call[Any], key: Path, kernel: Trace[R_co]) -> None:
        """Record the kernel's run."""
        super().__init__(call, kernel.retval, kernel.score)
        self._key = key
        self._kernel = kernel

    @property
    def key(self) -> Path:
        """The address, as a tuple."""
        return self._key

    @property
    def kernel(self) -> Trace[R_co]:
        """The kernel's trace."""
        return self._kernel

    @property
    def choices(self) -> ChoiceMap:
        """The kernel's choices, below the key."""
        return graft([(self._key, self._kernel.choices)])

    def find(self, path: Path) -> Trace[Any] | None:
        """Return this trace, or what the kernel has below the key."""
        if not path:
            return self
        length = len(self._key)
        return self._kernel.find(path[length:]) if path[:length] == self._key else None


def _kernel_trace(trace: Trace[Any]) -> CallAtTrace[Any]:
    assert isinstance(trace, CallAtTrace)
    return trace


def _edited(call: Call[Any], key: Path, edited: Updated[Any]) -> Updated[Any]:
    trace: CallAtTrace[Any] = CallAtTrace(call, key, edited.trace)
    return Updated(trace, edited.weight, edited.retdiff, graft([(key, edited.discard)]))


def _signature(kernel: inspect.Signature) -> inspect.Signature:
    # Under another name if the kernel has a parameter `key` itself.
    name = "key" if "key" not in kernel.parameters else "call_at_key"
    key = inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY)
    return kernel.replace(parameters=[key, *kernel.parameters.values()])


register_trace(CallAtTrace, lambda t: (t.call, t.key, t.kernel), CallAtTrace)
