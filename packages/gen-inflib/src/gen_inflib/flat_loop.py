"""The loop that takes chains in flat form from leapfrog to leapfrog: compiled, or in Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from gen_core import MissingPackageError, Selection, batch, plugins
from gen_inflib.adaptive_hamiltonian import AdaptiveHamiltonian
from gen_inflib.flat import Emitted, FlatState, Noise, body
from gen_inflib.iteration import holds_anywhere
from gen_inflib.packing import Packing
from gen_inflib.waiting import Waiting


class LoopSetting(NamedTuple):
    """What a program is compiled for. Hashable, and compared by what it is made of."""

    kernel: AdaptiveHamiltonian
    latents: Selection
    packing: Packing
    is_single: bool
    backend: str | None


@final
class FlatLoop:
    """A loop that was entered, between two of its calls."""

    def __init__(self, setting: LoopSetting, stacks: list[Tensor], limit: Tensor) -> None:
        """Enter a loop."""
        self.setting = setting
        self.stacks = stacks
        """Its state, packed."""
        self.limit = limit
        """In so many transitions the step size is adapted."""
        self.waiting = Waiting()
        """Draws that were made and not yet asked for."""
        self.num_taken = 0
        """How many draws of each chain were asked for."""
        self.noise: Noise | None = None
        """Random numbers that were drawn and not yet used."""

    @cached_property
    def program(self) -> Callable[..., Any]:
        """Its bodies as one compiled program."""
        return _program(self.setting)

    def until(self, wanted: int) -> Callable[..., Any]:
        """Return its bodies in Python, which stop when all chains have made `wanted` draws."""
        return _eager(self.setting, wanted)


@lru_cache(maxsize=32)
def _program(setting: LoopSetting) -> Callable[..., Any]:
    """Return many bodies as one program, compiled when it is first called; kept for later runs."""
    try:
        from gen_torch import jit, scan
    except ImportError:
        raise MissingPackageError("mcmc(compile=True)", "gen-torch", plugins.broken) from None
    kernel, packing = setting.kernel, setting.packing

    def run(traces: Any, metric: Any, limit: Tensor, stacks: list[Tensor], noise: Noise) -> Any:
        def one(trace: Any, metric: Any, state: FlatState, noise: Noise) -> tuple[FlatState, Emitted]:
            view = kernel.view(trace)
            return body(kernel.flat, kernel.target_acceptance, view, metric, limit, state, noise)

        advance = one if setting.is_single else batch(one)

        def step(stacks: list[Tensor], noise: Noise) -> tuple[list[Tensor], Emitted]:
            state, emitted = advance(traces, metric, packing.unpack(stacks), noise)
            return packing.pack(state), emitted

        return scan(step, stacks, noise)

    compiled: Callable[..., Any] = jit(run, backend=setting.backend)  # type: ignore[arg-type]
    return compiled


def _eager(setting: LoopSetting, wanted: int) -> Callable[..., Any]:
    """Return bodies as a loop within one batch, which stops when all chains have made `wanted` draws."""
    kernel, packing = setting.kernel, setting.packing

    def one(trace: Any, metric: Any, limit: Tensor, state: FlatState, noise: Noise) -> Any:
        view = kernel.view(trace)
        emitted = []
        for each in zip(*noise, strict=True):
            state, out = body(kernel.flat, kernel.target_acceptance, view, metric, limit, state, Noise(*each))
            emitted.append(out)
            if not holds_anywhere(state.num_made < wanted):
                break
        return state, Emitted(*[torch.stack(column) for column in zip(*emitted, strict=True)])

    def run(traces: Any, metric: Any, limit: Tensor, stacks: list[Tensor], noise: Noise) -> Any:
        state = packing.unpack(stacks)
        if setting.is_single:
            state, emitted = one(traces, metric, limit, state, noise)
            return packing.pack(state), emitted
        state, emitted = batch(one, (0, 0, None, 0, 1))(traces, metric, limit, state, noise)
        return packing.pack(state), Emitted(*[column.transpose(0, 1) for column in emitted])

    return run
