"""Chains of a kernel in flat form: they go on side by side, a leapfrog of each at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast, final

import torch
from torch import Tensor

from gen_core import EMPTY, TraceBatch, batch
from gen_core.structure import put_together, take_apart
from gen_distributions import normal, uniform
from gen_inflib.adaptive_hamiltonian import AdaptiveHamiltonian
from gen_inflib.batched_chains import Stepping
from gen_inflib.flat import Emitted, FlatState, Noise, begin
from gen_inflib.flat_loop import FlatLoop, LoopSetting
from gen_inflib.packing import Packing, packing_of
from gen_inflib.stretch import Stretch, stretch_of_scan
from gen_inflib.tuning import Tuning
from gen_inflib.visits import Visit
from gen_inflib.waiting import joined
from gen_inflib.warmup_windows import warmup_windows


@final
class FlatChains:
    """Chains of `adaptive_nuts` or `adaptive_hmc`, as `BatchedChains` for kernels that loop.

    Chains are not equally far at any time: what one has drawn before the others is kept until they have too.
    Where a new metric is learned, all begin anew from the draw at which it was.
    """

    def __init__(
        self,
        stepping: Stepping,
        kernel: AdaptiveHamiltonian,
        traces: TraceBatch[Any],
        state: Tuning | None,
        backend: str | None,
    ) -> None:
        """Prepare chains that start at `traces`.

        Args:
            stepping: How many steps warm up, and what to note.
            kernel: The kernel of `stepping`.
            traces: One trace for each chain.
            state: What chains have learned in a run that goes on, None for a new one.
            backend: What compiles the loop; None runs it in Python.

        Raises:
            NotBatchableError: The model cannot be batched.
        """
        self._stepping = stepping
        self._kernel = kernel
        self._traces = traces
        # What stays is in the kernel, and a run that went on in another way did not keep it.
        is_new = state is None or not kernel.learns
        self._start: Any = None
        """Position, density and gradient of each chain, where they are known."""
        self._tuning: Tuning = self._initial() if is_new else cast(Tuning, state)
        self._backend = backend
        self._loop: FlatLoop | None = None
        self._last: Tensor | None = None
        self._windows = warmup_windows(stepping.num_warmup)
        ends = {last + 1 for last in self._windows.lasts()} | {stepping.num_warmup}
        if not kernel.learns:
            ends = set()
        self._restarts = sorted(end for end in ends if end > 0)

    @property
    def last(self) -> TraceBatch[Any]:
        """The traces where the chains are."""
        return self._traces if self._last is None else self._traces_at(self._last)

    @property
    def state(self) -> Tuning:
        """What the kernel has learned, with the chains as first dimension."""
        return self._tuning

    def advance(self, first: int, count: int) -> Stretch:
        """Take `count` steps, numbered from `first`; those of warm-up are not noted."""
        step, end = first, first + count
        parts = []
        while step < end:
            stop = min([end, *(mark for mark in self._marks if mark > step)])
            part = self._draw(step, stop - step)
            self._learn(step, part.position)
            parts.append(part)
            step = stop
            if step in self._restarts:
                self._restart(is_last=step == self._stepping.num_warmup)
        if first < self._stepping.num_warmup:
            return Stretch(EMPTY, torch.empty(0), {}, {}, None)
        return self._noted(parts[0] if len(parts) == 1 else joined(parts))

    def snapshot(self) -> dict[str, Any]:
        """Return where the chains are, as tensors."""
        loop = self._loop
        return {
            "traces": list(self._traces.spread().columns),
            "last": self._last,
            "tuning": take_apart(self._tuning, once=False).tensors,
            "loop": None if loop is None else [loop.limit, *loop.stacks],
            "num_taken": 0 if loop is None else loop.num_taken,
            "noise": None if loop is None or loop.noise is None else list(loop.noise),
            "waiting": None if loop is None else loop.waiting.snapshot(),
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to where the chains were."""
        spread = self._traces.spread()
        self._traces = TraceBatch(snapshot["traces"], spread.is_shared, spread.structure, len(spread))
        self._last, self._start = snapshot["last"], None
        self._tuning = put_together(snapshot["tuning"], take_apart(self._tuning, once=False).structure)
        self._loop = None
        if snapshot["loop"] is not None:
            limit, *stacks = snapshot["loop"]
            self._loop = FlatLoop(self._setting(packing_of(self._begun())), stacks, limit)
            self._loop.waiting.restore(snapshot["waiting"])
            self._loop.num_taken = snapshot["num_taken"]
            self._loop.noise = None if snapshot["noise"] is None else Noise(*snapshot["noise"])

    @property
    def _marks(self) -> list[int]:
        return [self._windows.begin, *self._restarts]

    @property
    def _is_single(self) -> bool:
        return len(self._traces) == 1

    def _draw(self, step: int, count: int) -> Emitted:
        """Return the next `count` draws of every chain: `(num_chains, count, ...)`."""
        if self._loop is None:
            self._loop = self._started(step)
        loop = self._loop
        while loop.waiting.num_common < count:
            self._go_on(loop, loop.num_taken + count)
        loop.num_taken += count
        result = loop.waiting.take(count)
        self._last = result.position[:, -1]
        return result

    def _started(self, step: int) -> FlatLoop:
        ahead = [mark - step for mark in self._restarts if mark > step]
        limit = torch.tensor(float(ahead[0] if ahead else 0))
        state = self._begun()
        packing = packing_of(state)
        return FlatLoop(self._setting(packing), packing.pack(state), limit)

    def _setting(self, packing: Packing) -> LoopSetting:
        latents = self._stepping.watch.latents
        return LoopSetting(self._kernel, latents, packing, self._is_single, self._backend)

    def _initial(self) -> Tuning:
        """Return what is known before warm-up, and keep where the chains start."""

        def look(trace: Any) -> tuple[Any, Tuning]:
            view = self._kernel.view(trace)
            start = view.start()
            return start, self._kernel.initial_at(view, start)

        self._start, tuning = self._each(look)
        return cast(Tuning, _with_chain(tuning) if self._is_single else tuning)

    def _begun(self) -> FlatState:
        noise = Noise(*[column[0] for column in self._noise(1)])
        tuning = _first_of(self._tuning) if self._is_single else self._tuning
        start = self._here()
        if self._is_single:
            return begin(self._kernel.flat, start, tuning, noise)
        state: FlatState = batch(partial(begin, self._kernel.flat))(start, tuning, noise)
        return state

    def _here(self) -> Any:
        """Return where each chain is, with density and gradient."""
        if self._last is None:
            return self._start or self._each(lambda trace: self._kernel.view(trace).start())
        position = self._last[0] if self._is_single else self._last
        return position, self._each(lambda trace, at: self._kernel.view(trace).scored(at), position)

    def _each(self, function: Callable[..., Any], *values: Any) -> Any:
        """Return what `function` makes of each chain's trace: without a batch, if there is one chain."""
        if self._is_single:
            return function(self._traces[0], *values)
        return batch(function)(self._traces, *values)

    def _go_on(self, loop: FlatLoop, wanted: int) -> None:
        """Take some leapfrogs of every chain, at most until it has made `wanted` draws; put them aside."""
        single = self._is_single
        traces: Any = self._traces[0] if single else self._traces
        metric = _first_of(self._tuning.metric) if single else self._tuning.metric
        noise = loop.noise or self._noise(self._kernel.flat.num_bodies)
        loop.noise = None
        if self._backend is not None:
            loop.stacks, emitted = loop.program(traces, metric, loop.limit, loop.stacks, noise)
        else:
            run = loop.until(wanted)
            loop.stacks, emitted = run(traces, metric, loop.limit, loop.stacks, noise)
            num_used = len(emitted.position)
            if num_used < len(noise.normals):
                # So that the numbers are those of a program, which does not stop.
                loop.noise = Noise(*[column[num_used:] for column in noise])
        chains_first = [column.unsqueeze(0) if single else column.transpose(0, 1) for column in emitted]
        loop.waiting.put(Emitted(*chains_first))

    def _noise(self, num_bodies: int) -> Noise:
        like = self._tuning.moments.mean
        chains, size = like.shape
        shape = (num_bodies,) if self._is_single else (num_bodies, chains)
        chances = self._tuning.step_size.new_zeros(*shape, self._kernel.flat.num_chances)
        return Noise(normal.sample(like.new_zeros(*shape, size), 1.0), uniform.sample(chances, 1.0))

    def _learn(self, step: int, positions: Tensor) -> None:
        if self._kernel.learns and self._windows.is_slow(step):
            moments = batch(lambda moments, new: moments.add(new))(self._tuning.moments, positions)
            self._tuning = self._tuning._replace(moments=moments)

    def _restart(self, *, is_last: bool) -> None:
        """Take what was learned, and begin new transitions from the last draws."""
        assert self._loop is not None
        state: FlatState = self._loop.setting.packing.unpack(self._loop.stacks)
        step_size, search = state.step_size, state.search
        if self._is_single:
            step_size, search = _with_chain((step_size, search))
        tuning = self._tuning._replace(step_size=step_size, search=search)
        if not is_last or self._stepping.num_warmup - 1 in self._windows.lasts():
            tuning = batch(Tuning.with_metric)(tuning)
        self._tuning = batch(Tuning.settled)(tuning) if is_last else tuning
        self._loop = None

    def _noted(self, drawn: Emitted) -> Stretch:
        kernel, watch, named = self._kernel, self._stepping.watch, self._stepping.kernel

        def note(trace: Any, positions: Tensor, numbers: Tensor) -> Visit:
            view = kernel.view(trace)

            def one(position: Tensor, numbers: Tensor) -> Visit:
                drawn = Emitted(position, numbers)
                info = kernel.flat.info(drawn.fields)
                known = view.known_at(position, drawn.log_density)
                visit = watch.known_visit(trace, known, named, info)
                return visit or watch.visit(view.refreshed(view.trace_at(position)), named, info)

            return batch(one)(positions, numbers)  # type: ignore[no-any-return]

        visits = batch(note)(self._traces, *drawn)
        tensors, structure = take_apart(visits, once=False)
        return stretch_of_scan(put_together([tensor.transpose(0, 1) for tensor in tensors], structure))

    def _traces_at(self, positions: Tensor) -> TraceBatch[Any]:
        def at(trace: Any, position: Tensor) -> Any:
            view = self._kernel.view(trace)
            return view.refreshed(view.trace_at(position))

        traces: TraceBatch[Any] = batch(at)(self._traces, positions)
        return traces


def _first_of(value: Any) -> Any:
    tensors, structure = take_apart(value, once=False)
    return put_together([tensor[0] for tensor in tensors], structure)


def _with_chain(value: Any) -> Any:
    tensors, structure = take_apart(value, once=False)
    return put_together([tensor.unsqueeze(0) for tensor in tensors], structure)
