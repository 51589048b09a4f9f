"""The form in which a batch of traces goes round a loop: what changes, apart from what never does.

A compiled loop carries tensors whose number, shapes and dtypes stay, while a step may make a column that
all traces shared differ between them, or leave data and arguments the very tensors they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor

from gen_core import BatchStructureError, TraceBatch
from gen_core.readable import is_compiling
from gen_core.structure import Structure

Kind: TypeAlias = Literal["constant", "shared", "own"]
"""The same tensor after every step; one tensor for all traces; or one row for each."""


class Layout(NamedTuple):
    """The columns of a batch by what a step does to them. Hashable."""

    structure: Structure
    kinds: tuple[Kind, ...]
    size: int

    def carry(self, traces: TraceBatch[Any]) -> list[Tensor]:
        """Return the columns that a step changes, contiguous, as a loop must find them at every step.

        Raises:
            BatchStructureError: The batch does not have this layout: a step changed its structure.
        """
        spread = traces.spread()
        self._check(spread)
        columns = zip(self.kinds, spread.columns, spread.is_shared, strict=True)
        return [
            _widened(column, self.size) if kind == "own" and is_shared else column.contiguous()
            for kind, column, is_shared in columns
            if kind != "constant"
        ]

    def constants(self, traces: TraceBatch[Any]) -> list[Tensor]:
        """Return the columns that never change."""
        columns = traces.spread().columns
        return [column for kind, column in zip(self.kinds, columns, strict=True) if kind == "constant"]

    def traces(self, constants: Sequence[Tensor], carry: Sequence[Tensor]) -> TraceBatch[Any]:
        """Return the batch of these columns."""
        fixed, moving = iter(constants), iter(carry)
        columns = [next(fixed) if kind == "constant" else next(moving) for kind in self.kinds]
        return TraceBatch(columns, [kind != "own" for kind in self.kinds], self.structure, self.size)

    def _check(self, spread: TraceBatch[Any]) -> None:
        if spread.structure != self.structure:
            raise BatchStructureError(
                "A kernel changed the structure of the traces: their addresses, or arguments that are not "
                "tensors. Chains of random structure run one after another, with batched=False."
            )
        # While a program is made, a tensor that the model reads from outside is another one than the same
        # tensor in the traces, so a choice between them looks like a change. It is none: a step that left a
        # tensor as it is in a batch does so in a program, which cannot branch on values either.
        stays: tuple[Kind, ...] = ("shared",) if is_compiling() else ("shared", "constant")
        shared = zip(self.kinds, spread.is_shared, strict=True)
        if any(kind in stays and not is_shared for kind, is_shared in shared):
            raise BatchStructureError(
                "A kernel made something differ between the chains that it left the same in its first step."
            )


def find_layout(
    step: Callable[[TraceBatch[Any]], TraceBatch[Any]], traces: TraceBatch[Any]
) -> tuple[Layout, TraceBatch[Any]]:
    """Return the layout that `step` preserves, and the traces in it; steps are taken to find out."""
    spread = traces.spread()
    while True:
        after = step(spread).spread()
        if after.structure != spread.structure:
            raise BatchStructureError(
                "A kernel changed the structure of the traces in its first step: their addresses, or "
                "arguments that are not tensors."
            )
        columns = zip(spread.columns, spread.is_shared, after.columns, after.is_shared, strict=True)
        kinds = tuple(_kind(*column) for column in columns)
        layout = Layout(spread.structure, kinds, len(spread))
        if all(is_shared == (kind != "own") for is_shared, kind in zip(spread.is_shared, kinds, strict=True)):
            return layout, spread
        # What differs now may make other columns differ in the next step.
        spread = layout.traces(layout.constants(spread), layout.carry(spread))


def _kind(before: Tensor, was_shared: bool, after: Tensor, is_shared: bool) -> Kind:
    if not (was_shared and is_shared):
        return "own"
    return "constant" if after is before else "shared"


def _widened(column: Tensor, size: int) -> Tensor:
    return column.expand(size, *column.shape).contiguous()
