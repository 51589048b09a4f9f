"""A run of chains: stretch by stretch, with a progress bar and checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from tqdm import tqdm

from gen_inflib.batched_chains import BatchedChains
from gen_inflib.chain_errors import CheckpointError
from gen_inflib.checkpoint import (
    Checkpoint,
    read_checkpoint,
    rng_states,
    set_rng_states,
    write_checkpoint,
)
from gen_inflib.collecting import Collector, Kept
from gen_inflib.flat_chains import FlatChains
from gen_inflib.looped_chains import LoopedChains
from gen_inflib.stretches import stretches


@final
@dataclass(frozen=True, kw_only=True)
class Run:
    """What is to be run, from the start or from a checkpoint."""

    chains: BatchedChains | FlatChains | LoopedChains
    kept: Kept
    num_warmup: int
    num_steps: int
    is_compiled: bool
    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: int
    about: Mapping[str, Any]
    """What a checkpoint must agree in."""

    def execute(self, progress: bool | None) -> Collector:
        """Take all steps that are left, and return what was kept of all."""
        first, collector = self._resume()
        every = None if self.checkpoint is None else self.checkpoint_every
        parts = stretches(first, self.num_warmup, self.num_steps, every, compiled=self.is_compiled)
        hidden = None if progress is None else not progress
        with tqdm(
            total=self.num_steps, initial=first, disable=hidden, unit="step", leave=False, desc="warm-up"
        ) as bar:
            for start, count in parts:
                if start >= self.num_warmup:
                    bar.set_description("sampling", refresh=False)
                self._advance(start, count, collector)
                bar.update(count)
        return collector

    def _advance(self, start: int, count: int, collector: Collector) -> None:
        stretch = self.chains.advance(start, count)
        if start >= self.num_warmup:
            collector.add(stretch, self.kept)
        step = start + count
        if self.checkpoint is not None and (step % self.checkpoint_every == 0 or step == self.num_steps):
            # The snapshot first: it may draw, where the next step will draw on.
            snapshot = self.chains.snapshot()
            write_checkpoint(self.checkpoint, self.about, Checkpoint(step, snapshot, collector, rng_states()))

    def _resume(self) -> tuple[int, Collector]:
        found = None if self.checkpoint is None else read_checkpoint(self.checkpoint, self.about)
        if found is None:
            return 0, Collector()
        if found.step > self.num_steps:
            raise CheckpointError(
                self.checkpoint, f"it has taken {found.step} steps, and {self.num_steps} were asked for"
            )
        self.chains.restore(found.chains)
        set_rng_states(found.rng)
        return found.step, found.collector
