"""Chains side by side: a step of all of them is one batch, and many steps can be one compiled program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from gen_core import MissingPackageError, TraceBatch, batch, plugins
from gen_core.layout import in_row_major_order, unaliased
from gen_core.structure import put_together, take_apart
from gen_inflib.adaptive import AdaptiveKernel, Progress
from gen_inflib.layout import Layout, find_layout
from gen_inflib.stretch import Stretch, stretch_of_batches, stretch_of_scan
from gen_inflib.visits import Visit, Watch


class Stepping(NamedTuple):
    """A kernel and what to note of its steps. Hashable, and compared by what it is made of."""

    kernel: AdaptiveKernel
    watch: Watch
    num_warmup: int

    def step(self, traces: TraceBatch[Any], state: Any, index: Tensor) -> tuple[Any, Any, Visit]:
        """Take one step of all chains."""

        def one(trace: Any, state: Any, index: Tensor) -> tuple[Any, Any, Visit]:
            moved, after, info = self.kernel.step(trace, state, Progress(index, self.num_warmup))
            return moved, after, self.watch.visit(moved, self.kernel, info)

        return batch(one, (0, 0, None))(traces, state, index)  # type: ignore[no-any-return]


@final
class BatchedChains:
    """Chains that move together."""

    def __init__(self, stepping: Stepping, traces: TraceBatch[Any], state: Any, backend: str | None) -> None:
        """Prepare chains that start at `traces`.

        Args:
            stepping: The kernel.
            traces: One trace for each chain.
            state: The kernel's states of a run that goes on, None for a new one.
            backend: What compiles many steps into one program; None runs them one by one.

        Raises:
            NotBatchableError: The kernel, or the model in it, cannot be batched.
            BatchStructureError: The kernel changes the structure of traces.
        """
        self._stepping = stepping
        self._backend = backend
        self._state = continued(state, batch(first_state_of(stepping.kernel))(traces))
        with torch.random.fork_rng(devices=_devices()):
            self._layout, settled = find_layout(self._first_step, traces)
        self._constants = self._layout.constants(settled)
        self._carry = self._layout.carry(settled)

    @property
    def last(self) -> TraceBatch[Any]:
        """The traces where the chains are."""
        return self._layout.traces(self._constants, self._carry)

    @property
    def state(self) -> Any:
        """The kernel's states, with the chains as first dimension."""
        return self._state

    def advance(self, first: int, count: int) -> Stretch:
        """Take `count` steps, numbered from `first`."""
        index = torch.arange(first, first + count, device=self._device)
        if self._backend is None:
            return self._advance_eagerly(index)
        program = _program_of(self._stepping, self._layout, self._backend)
        # A program is for one layout of its arguments, and what it returns need not have that of its inputs.
        carry, state = _owned((self._carry, self._state), self._constants)
        self._carry, self._state, visits = program(self._constants, carry, state, index)
        return stretch_of_scan(visits)

    def _advance_eagerly(self, index: Tensor) -> Stretch:
        visits = []
        for each in index.unbind():
            moved, self._state, visit = self._stepping.step(self.last, self._state, each)
            self._carry = self._layout.carry(moved)
            visits.append(visit)
        return stretch_of_batches(visits)

    def snapshot(self) -> dict[str, Any]:
        """Return where the chains are, as tensors."""
        return {"traces": list(self._carry), "state": take_apart(self._state, once=False).tensors}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to where the chains were."""
        self._carry = list(snapshot["traces"])
        structure = take_apart(self._state, once=False).structure
        self._state = put_together(snapshot["state"], structure)

    @property
    def _device(self) -> torch.device:
        return self._carry[0].device if self._carry else torch.device("cpu")

    def _first_step(self, traces: TraceBatch[Any]) -> TraceBatch[Any]:
        moved, _, _ = self._stepping.step(traces, self._state, torch.zeros((), dtype=torch.int64))
        return moved  # type: ignore[no-any-return]


def _program_of(stepping: Stepping, layout: Layout, backend: str) -> Callable[..., Any]:
    try:
        return _kept_program(stepping, layout, backend)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _program(stepping, layout, backend)


def _program(stepping: Stepping, layout: Layout, backend: str) -> Callable[..., Any]:
    """Return many steps as one program, compiled when it is first called; kept for later runs."""
    scan, jit = _compiler()

    def run(constants: list[Tensor], carry: list[Tensor], state: Any, index: Tensor) -> Any:
        def body(at: Any, each: Tensor) -> Any:
            moved, after, visit = stepping.step(layout.traces(constants, at[0]), at[1], each)
            return (layout.carry(moved), _owned(after)), visit

        (last, after), visits = scan(body, (carry, state), index)
        return last, after, visits

    compiled: Callable[..., Any] = jit(run, backend=backend)
    return compiled


_kept_program = lru_cache(maxsize=32)(_program)


def _compiler() -> tuple[Any, Any]:
    try:
        from gen_torch import jit, scan
    except ImportError:
        raise MissingPackageError("mcmc(compile=True)", "gen-torch", plugins.broken) from None
    return scan, jit


def first_state_of(kernel: AdaptiveKernel) -> Callable[..., Any]:
    """Return `kernel.initial` as a function that can be batched: of a trace, or of a batch of them."""
    return kernel.initial


def continued(state: Any, first: Any) -> Any:
    """Return the state of a run that goes on, if it is of the kernel whose first state is `first`."""
    ours, theirs = take_apart(state, once=False), take_apart(first, once=False)
    kinds = [[(tensor.shape, tensor.dtype) for tensor in part.tensors] for part in (ours, theirs)]
    return state if ours.structure == theirs.structure and kinds[0] == kinds[1] else first


def _owned(value: Any, others: Sequence[Tensor] = ()) -> Any:
    """Return a value of which no two tensors share memory, each in row-major order; nor with `others`."""
    tensors, structure = take_apart(value, once=False)
    return put_together(unaliased(map(in_row_major_order, tensors), others), structure)


def _devices() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
