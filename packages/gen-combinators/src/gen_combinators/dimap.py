"""`dimap`, `map_args` and `map_retval`: a generative function between two plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, final

from gen_combinators.composed import Composed
from gen_combinators.errors import ChangedArgumentsError, KernelError
from gen_combinators.function import Function
from gen_core import (
    EMPTY,
    UNCHANGED,
    UNKNOWN,
    Call,
    Generated,
    GenerativeFunction,
    Trace,
    Updated,
    register_trace,
    rooms,
)
from gen_core.arguments import all_unchanged, compare_arguments
from gen_core.captured import Link, captured_by
from gen_core.diff import compare_retvals

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, ChoiceMap, Diff, Path, Selection
    from gen_core.captured import Captured

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


def dimap(
    kernel: Callable[..., Call[R]],
    *,
    pre: Callable[P, tuple[Any, ...]],
    post: Callable[Concatenate[R, P], S],
) -> GenerativeFunction[P, S]:
    """Return `kernel` with other arguments and another return value.

    Its choices, score and weights are those of the kernel. Neither function makes choices; both may use
    modules and parameters, and gradients flow through them. In an edit, the kernel does not run again where
    its arguments stay the same, and `post` does not where everything does.

    Where the kernel is a distribution, `trace.choices[address]` is the value that it drew, and
    `trace[address]` what `post` made of it.

    Args:
        kernel: A generative function.
        pre: Takes the arguments, and returns a tuple of those of the kernel.
        post: Takes what the kernel returned and the arguments, and returns the return value.

    >>> scaled = dimap(walk, pre=lambda length, scale: (length,), post=lambda xs, length, scale: xs * scale)

    Raises:
        KernelError: `kernel` is no generative function.
    """
    return Dimap(_checked(kernel, "dimap"), Function(pre), Function(post), "dimap")


def map_args(kernel: Callable[..., Call[R]], pre: Callable[P, tuple[Any, ...]]) -> GenerativeFunction[P, R]:
    """Return `kernel` with other arguments: `dimap` with `pre` alone.

    >>> map_args(normal, lambda loc, log_scale: (loc, log_scale.exp()))
    """
    return Dimap(_checked(kernel, "map_args"), Function(pre), None, "map_args")


def map_retval(kernel: Callable[P, Call[R]], post: Callable[[R], S]) -> GenerativeFunction[P, S]:
    """Return `kernel` with another return value: `dimap` with a `post` that takes what the kernel returns.

    >>> map_retval(walk, torch.stack)
    """
    return Dimap(_checked(kernel, "map_retval"), None, Function(post), "map_retval")


@final
class Dimap(Composed[P, S_co]):
    """A kernel between two plain functions; users write `dimap`, `map_args` or `map_retval`."""

    def __init__(
        self,
        kernel: GenerativeFunction[..., Any],
        pre: Function[..., Any] | None,
        post: Function[..., Any] | None,
        name: str,
    ) -> None:
        """Make a generative function of a kernel; a `post` without a `pre` takes the return value only."""
        self.kernel = kernel
        self.pre = pre
        self.post = post
        super().__init__(f"{name}({kernel.name})", kernel.signature if pre is None else pre.signature)

    @property
    def parts(self) -> tuple[object, ...]:
        """The kernel and the functions."""
        return self.kernel, self.pre, self.post

    def captured(self) -> Iterable[Captured]:
        """Return the kernel, and what the functions reach from outside."""
        yield (Link("kernel", self.kernel),)
        for function in (self.pre, self.post):
            if function is not None:
                yield from captured_by(function.source)

    def do_simulate(self, call: Call[Any], /) -> DimapTrace[S_co]:
        """Simulate the kernel."""
        return self._trace(call, rooms.simulate(self._inner(call)))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[S_co]:
        """Weight: that of the kernel."""
        kernel, weight = rooms.generate(self._inner(call), constraints)
        return Generated(self._trace(call, kernel), weight)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> DimapTrace[S_co]:
        """Assess the kernel."""
        return self._trace(call, rooms.assess(self._inner(call), choices))

    def do_sample(self, call: Call[Any], /) -> S_co:
        """Sample the kernel."""
        value: S_co = self._returned(call, rooms.sample(self._inner(call)))
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[S_co]:
        """Weight: that of the kernel."""
        old = _kernel_of(trace)
        inner, diffs = self._moved(trace, call, argdiffs)
        if constraints.is_empty and all_unchanged(diffs):
            edited = Updated(old, old.score.new_zeros(()), UNCHANGED, EMPTY)
        else:
            edited = rooms.update(old, inner, diffs, constraints)
        return self._edited(trace, call, argdiffs, edited)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[S_co]:
        """Weight: that of the kernel."""
        inner, diffs = self._moved(trace, call, argdiffs)
        edited = rooms.regenerate(_kernel_of(trace), inner, diffs, selection)
        return self._edited(trace, call, argdiffs, edited)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Project the kernel."""
        return rooms.project(_kernel_of(trace), selection)

    def _inner(self, call: Call[Any]) -> Call[Any]:
        if self.pre is None:
            return Call(self.kernel, call.args, call.kwargs)
        args = self.pre(*call.args, **call.kwargs)
        if not isinstance(args, tuple):
            raise ChangedArgumentsError(self.name, self.pre.name, args)
        return self.kernel(*args)

    def _returned(self, call: Call[Any], retval: Any) -> Any:
        if self.post is None:
            return retval
        if self.pre is None:
            return self.post(retval)
        return self.post(retval, *call.args, **call.kwargs)

    def _trace(self, call: Call[Any], kernel: Trace[Any]) -> DimapTrace[S_co]:
        return DimapTrace(call, kernel, self._returned(call, kernel.retval))

    def _moved(self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs) -> tuple[Call[Any], ArgDiffs]:
        """Return the kernel's call, and how its arguments changed."""
        old = _kernel_of(trace)
        if self.pre is None:
            return self._inner(call), argdiffs
        if all_unchanged(argdiffs):
            return old.call, (UNCHANGED,) * len(old.call.values())
        inner = self._inner(call)
        diffs = compare_arguments(old.call.values(), inner.values(), old.versions)
        if len(diffs) != len(old.call.values()):
            return inner, diffs
        return inner, tuple(
            diff if diff is UNCHANGED else _passed_on(before, now, trace.call, call, argdiffs)
            for before, now, diff in zip(old.call.values(), inner.values(), diffs, strict=True)
        )

    def _edited(
        self, old: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, edited: Updated[Any]
    ) -> Updated[S_co]:
        new, weight, retdiff, discard = edited
        if self.post is None:
            return Updated(DimapTrace(call, new, new.retval), weight, retdiff, discard)
        takes_arguments = self.pre is not None
        if retdiff is UNCHANGED and all_unchanged(argdiffs if takes_arguments else ()):
            return Updated(DimapTrace(call, new, old.retval), weight, UNCHANGED, discard)
        trace = self._trace(call, new)
        return Updated(trace, weight, compare_retvals(old.retval, trace.retval, old.retval_version), discard)


@final
class DimapTrace(Trace[S_co]):
    """The record of a kernel, with another return value."""

    __slots__ = ("_kernel",)

    def __init__(self, call: Call[Any], kernel: Trace[Any], retval: S_co) -> None:
        """Record the kernel's run."""
        super().__init__(call, retval, kernel.score)
        self._kernel = kernel

    @property
    def kernel(self) -> Trace[Any]:
        """The kernel's trace."""
        return self._kernel

    @property
    def choices(self) -> ChoiceMap:
        """The kernel's choices."""
        return self._kernel.choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return this trace, or what the kernel has."""
        return self._kernel.find(path) if path else self

    def visited(self, path: Path) -> bool:
        """Return whether the kernel used a constraint at `path`."""
        return self._kernel.visited(path)

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that the kernel did not use."""
        return self._kernel.unvisited(constraints)


def _checked(kernel: Any, name: str) -> GenerativeFunction[..., Any]:
    if not isinstance(kernel, GenerativeFunction):
        raise KernelError(name, kernel, "be a generative function")
    return kernel


def _kernel_of(trace: Trace[Any]) -> Trace[Any]:
    assert isinstance(trace, DimapTrace)
    return trace.kernel


def _passed_on(before: object, now: object, old: Call[Any], new: Call[Any], argdiffs: ArgDiffs) -> Diff:
    """Return the hint of an argument that `pre` passes on as it is."""
    pairs = zip(old.values(), new.values(), argdiffs, strict=False)
    return next((diff for was, given, diff in pairs if was is before and given is now), UNKNOWN)


register_trace(DimapTrace, lambda t: (t.call, t.kernel, t.retval), DimapTrace)
