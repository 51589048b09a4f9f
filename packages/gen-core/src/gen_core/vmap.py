"""`vmap`: a generative function that is a batch of another, so that a batch can be a callee."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from torch import Tensor

from gen_core import rooms
from gen_core.batch import InDims, batch
from gen_core.diff import UNCHANGED, UNKNOWN, ArgDiffs
from gen_core.interface import GenerativeFunction
from gen_core.pytree import register_trace
from gen_core.results import Generated, Updated
from gen_core.trace import Trace

if TYPE_CHECKING:
    from gen_core.address import Path
    from gen_core.call import Call
    from gen_core.choicemap import ChoiceMap
    from gen_core.selection import Selection
    from gen_core.trace_batch import TraceBatch

R = TypeVar("R")


def vmap(
    kernel: GenerativeFunction[..., R], in_dims: InDims = 0, *, size: int | None = None
) -> GenerativeFunction[..., R]:
    """Return the generative function that runs `kernel` for each element of a batch, all at once.

    Its choices have the addresses of the kernel, and the batch as their first dimension; so have its
    arguments, unless `in_dims` shares them, and its return value. The runs are independent: the score is
    the sum of theirs, and constraints speak of all runs at once.

    Args:
        kernel: The function of one element; it must be batchable (see `batch`).
        in_dims: The batch dimension of each of the kernel's arguments, or one for all; None shares one.
        size: The number of runs, where no argument says it.

    >>> points = vmap(point, in_dims=(0, None))
    >>> points(xs, slope) @ "points"
    """
    dims = tuple(in_dims) if isinstance(in_dims, list | tuple) else in_dims
    return Vmap(kernel, dims, size)


@final
class Vmap(GenerativeFunction[..., R]):
    """A batch of runs of one generative function; equal if made of equal parts."""

    def __init__(self, kernel: GenerativeFunction[..., R], in_dims: InDims, size: int | None) -> None:
        """Users write `vmap(kernel)`."""
        super().__init__(f"vmap({kernel.name})", kernel.signature)
        self.kernel = kernel
        self.in_dims = in_dims
        self.size = size

    def do_simulate(self, call: Call[Any], /) -> VmapTrace[R]:
        """Simulate every run."""
        traces = self._batch(lambda *values: rooms.simulate(self._kernel_call(call, values)), call)
        return VmapTrace(call, traces)

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R]:
        """Generate every run; the weight is the sum of the runs' weights."""
        generated = self._batch(
            lambda choices, *values: rooms.generate(self._kernel_call(call, values), choices),
            call,
            constraints,
        )
        return Generated(VmapTrace(call, generated.trace), generated.weight.sum())

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> VmapTrace[R]:
        """Assess every run."""
        traces = self._batch(
            lambda given, *values: rooms.assess(self._kernel_call(call, values), given), call, choices
        )
        return VmapTrace(call, traces)

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R]:
        """Update every run; the weight is the sum of the runs' weights."""
        updated = self._batch(
            lambda old, choices, *values: rooms.update(
                old, self._kernel_call(call, values), argdiffs, choices
            ),
            call,
            trace.batch,  # type: ignore[attr-defined]
            constraints,
        )
        return self._updated(call, updated)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R]:
        """Regenerate every run; the weight is the sum of the runs' weights."""
        updated = self._batch(
            lambda old, *values: rooms.regenerate(old, self._kernel_call(call, values), argdiffs, selection),
            call,
            trace.batch,  # type: ignore[attr-defined]
        )
        return self._updated(call, updated)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum the runs' projections."""
        projections: Tensor = batch(lambda run: rooms.project(run, selection))(trace.batch)  # type: ignore[attr-defined]
        return projections.sum()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Vmap) and self._parts == other._parts)

    def __hash__(self) -> int:
        return hash(self._parts)

    @property
    def _parts(self) -> tuple[object, ...]:
        return self.kernel, self.in_dims, self.size

    def _kernel_call(self, call: Call[Any], values: tuple[Any, ...]) -> Call[R]:
        positional = len(call.args)
        keywords = dict(zip(call.kwargs, values[positional:], strict=True))
        return type(call)(self.kernel, values[:positional], keywords)

    def _batch(self, function: Any, call: Call[Any], *before: Any) -> Any:
        """Run a function of the batched values in `before`, then of the call's arguments."""
        values = call.values()
        each = list(self.in_dims) if isinstance(self.in_dims, tuple) else [self.in_dims] * len(values)
        in_dims = [*[0] * len(before), *each]
        return batch(function, in_dims, size=self.size)(*before, *values)

    def _updated(self, call: Call[Any], updated: Any) -> Updated[R]:
        trace: VmapTrace[R] = VmapTrace(call, updated.trace)
        retdiff = updated.retdiff if updated.retdiff is UNCHANGED else UNKNOWN
        return Updated(trace, updated.weight.sum(), retdiff, updated.discard)


@final
class VmapTrace(Trace[R]):
    """The trace of a batch of runs."""

    __slots__ = ("_batch",)

    elements_have_indices = False

    def __init__(self, call: Call[Any], batch: TraceBatch[Any], score: Tensor | None = None) -> None:
        """Record a batch of runs; `score` is the sum of theirs."""
        super().__init__(call, batch.retval, batch.score.sum() if score is None else score)
        self._batch = batch

    @property
    def batch(self) -> TraceBatch[Any]:
        """The traces of the runs."""
        return self._batch

    def independent_elements(self) -> TraceBatch[Any]:
        """Return the traces of the runs."""
        return self._batch

    @property
    def choices(self) -> ChoiceMap:
        """The choices, each with the batch as its first dimension."""
        return self._batch.choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return what all runs have at `path`: a trace whose values have the batch as first dimension."""
        found: Trace[Any] | None = self if not path else self._batch.wide.find(path)
        return found


# With the score: in a batch of such traces it is not the sum over all of their runs.
register_trace(VmapTrace, lambda t: (t.call, t.batch, t.score), VmapTrace)
