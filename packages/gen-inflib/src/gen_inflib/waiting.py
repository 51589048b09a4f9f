"""Draws that some chains have made before the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from gen_inflib.flat import Emitted


def joined(blocks: Sequence[Emitted]) -> Emitted:
    """Return consecutive draws of all chains, `(num_chains, num_draws, ...)`, as one."""
    positions, numbers = zip(*blocks, strict=True)
    # Each of the numbers lies by itself, as it will be read.
    by_number = torch.cat([each.movedim(-1, 0) for each in numbers], 2)
    return Emitted(torch.cat(positions, 1), by_number.movedim(0, -1))


@final
class Waiting:
    """The draws of chains that are not equally far, until all have made as many as are asked for."""

    def __init__(self) -> None:
        """Begin without any."""
        self._blocks: list[Emitted] = []
        self._num_made: Tensor | int = 0

    @property
    def num_common(self) -> int:
        """How many draws every chain has made."""
        return self._num_made if isinstance(self._num_made, int) else int(self._num_made.min())

    def put(self, emitted: Emitted) -> None:
        """Take in what bodies have handed out, `(num_chains, num_bodies, ...)`: the ends of transitions."""
        has_ended = emitted.has_ended
        self._num_made = self._num_made + has_ended.sum(1)
        self._blocks.append(_ends_first(emitted, has_ended))

    def take(self, count: int) -> Emitted:
        """Return the next `count` draws of every chain, `(num_chains, count, ...)`, and forget them."""
        drawn = joined(self._blocks)
        drawn = _ends_first(drawn, drawn.has_ended)
        self._blocks = [Emitted(*[column[:, count:] for column in drawn])]
        self._num_made = self._num_made - count
        return Emitted(*[column[:, :count] for column in drawn])

    def snapshot(self) -> list[Tensor]:
        """Return the draws."""
        return list(joined(self._blocks)) if self._blocks else []

    def restore(self, snapshot: Sequence[Tensor]) -> None:
        """Take the draws of `snapshot` instead."""
        self._blocks, self._num_made = [], 0
        if snapshot:
            self.put(Emitted(*snapshot))


def _ends_first(emitted: Emitted, has_ended: Tensor) -> Emitted:
    """Return what ended a transition before all else, and no more rows than the chain with most needs."""
    if bool(has_ended.all()):
        return emitted
    most = int(has_ended.sum(1).max())
    order = has_ended.byte().argsort(dim=1, descending=True, stable=True)[:, :most].unsqueeze(-1)
    return Emitted(*[column.take_along_dim(order, 1) for column in emitted])
