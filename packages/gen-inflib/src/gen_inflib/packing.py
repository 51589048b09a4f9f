"""Many small tensors as a few larger ones, which a compiled loop carries faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gen_core.structure import Structure, put_together, take_apart


class Packing(NamedTuple):
    """How a value's tensors lie in stacks: one for each dtype and shape. Hashable."""

    structure: Structure
    groups: tuple[tuple[int, ...], ...]
    """Which tensors of the value are the rows of each stack."""

    def pack(self, value: Any) -> list[Tensor]:
        """Return the stacks of a value of this structure."""
        tensors = take_apart(value, once=False).tensors
        return [torch.stack([tensors[i] for i in group]) for group in self.groups]

    def unpack(self, stacks: Sequence[Tensor]) -> Any:
        """Return the value of which these are the stacks."""
        tensors: dict[int, Tensor] = {}
        for stack, group in zip(stacks, self.groups, strict=True):
            tensors |= zip(group, stack.unbind(0), strict=True)
        return put_together([tensors[i] for i in range(len(tensors))], self.structure)


def packing_of(value: Any) -> Packing:
    """Return how a value is packed."""
    tensors, structure = take_apart(value, once=False)
    groups: dict[object, list[int]] = {}
    for i, tensor in enumerate(tensors):
        groups.setdefault((tensor.dtype, tensor.shape, tensor.device), []).append(i)
    return Packing(structure, tuple(map(tuple, groups.values())))
