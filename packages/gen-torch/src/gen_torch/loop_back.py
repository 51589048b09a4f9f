"""The loop back: the vector-Jacobian products of the steps of a loop, the last first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gen_torch.loop_graphs import outputs_of
from gen_torch.loop_split import Split

Scan = Callable[[Callable[..., Any], list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]


class LoopBack(NamedTuple):
    """What a loop left for the way back, all of it physical tensors."""

    scan: Scan
    """How to run a loop."""
    parts: Split
    captured: Sequence[Tensor]
    """What the graph of a step captured."""
    kept: Sequence[Tensor]
    columns: Sequence[Tensor]
    starts: Sequence[Tensor]
    """The first carry."""
    outputs: Sequence[Tensor]
    varying: Sequence[int]
    """The outputs that have gradients."""
    carried: Sequence[int]
    """The tensors of the carry that have gradients."""

    @property
    def has_loops(self) -> bool:
        """Return whether a step goes back through a loop of its own."""
        return any(node.op == "get_attr" for node in self.parts.backward.graph.nodes)

    def gradients(self, given: Mapping[int, Tensor]) -> list[Tensor]:
        """Return gradients in the carry, the columns and what is captured, where there are any.

        Args:
            given: The gradients of the loop's outputs; others are zero.
        """
        size = len(self.starts)
        incoming = {i: given[i] if i in given else torch.zeros_like(self.outputs[i]) for i in self.varying}
        states = [incoming[i] if i in incoming else torch.zeros_like(self.starts[i]) for i in self.carried]
        sums = self._zeros()
        rows = [*self.kept, *self.columns]
        own = [gradient for i, gradient in incoming.items() if i >= size]

        def step(state: list[Tensor], row: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            after = dict(zip(self.carried, state, strict=False))
            into = [after[i] for i in self.varying if i < size]
            found = self.parts.backward(*row[: len(rows)], *into, *row[len(rows) :], *self.captured)
            before, each = found[: len(self.carried)], found[len(self.carried) :]
            each, new = each[: len(each) - len(sums)], each[len(each) - len(sums) :]
            added = [total + one for total, one in zip(state[len(self.carried) :], new, strict=True)]
            return [*before, *added], each

        last, each = self.scan(step, [*states, *sums], [column.flip(0) for column in (*rows, *own)])
        found = [*last[: len(self.carried)], *(column.flip(0) for column in each)]
        return [*found, *last[len(self.carried) :]]

    def _zeros(self) -> list[Tensor]:
        """Return the first sums of the gradients in what is captured."""
        given = len(self.carried) + self.parts.num_columns
        like = [node.meta["val"] for node in outputs_of(self.parts.backward)[given:]]
        return [torch.zeros(one.shape, dtype=one.dtype, device=one.device) for one in like]
