"""Batches of traces: many traces of one structure, their tensors side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final, overload

import torch
from torch import Tensor

from gen_core.batch_errors import BatchStructureError
from gen_core.structure import Structure, put_together, take_apart, takes_apart
from gen_core.torch_pytree import Node, register
from gen_core.trace import Trace

if TYPE_CHECKING:
    from gen_core.choicemap import ChoiceMap

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


@final
class TraceBatch(Generic[R_co]):
    """`n` traces of one structure, in columns: the one form of "many traces" in the system.

    A column is a tensor whose first dimension is the batch, or a tensor that all traces share, of which
    there is one copy however large the batch. Immutable. `batch(f)` returns them, `stack` makes them of
    ordinary traces, and `batch[i]` is an ordinary trace. Traces of a batch may be batches themselves.
    """

    __slots__ = ("_choices", "_columns", "_index", "_is_shared", "_size", "_structure", "_wide")

    def __init__(
        self,
        columns: Sequence[Tensor],
        is_shared: Sequence[bool],
        structure: Structure,
        size: int,
        index: Tensor | None = None,
    ) -> None:
        """Made by `batch` and `stack`.

        Args:
            columns: The tensors of `structure`, as `take_apart` orders them.
            is_shared: Whether a column is one tensor for all traces.
            structure: Everything but tensors.
            size: The number of traces.
            index: Which row of the columns each trace takes, shape `(size,)`; None for its own.
        """
        self._columns = list(columns)
        self._is_shared = tuple(is_shared)
        self._structure = structure
        self._size = size
        self._index = index
        self._wide: Any = None
        self._choices: ChoiceMap | None = None

    @property
    def wide(self) -> Any:
        """One trace (or batch) whose tensors have the batch as first dimension, where it is not shared.

        Good for reading; it is no trace of its function.
        """
        if self._wide is None:
            self._wide = put_together(self.columns, self._structure)
        return self._wide

    @property
    def columns(self) -> list[Tensor]:
        """The tensors of the traces, gathered."""
        if self._index is not None:
            index = self._index
            self._columns = [
                column if is_shared else column.index_select(0, index)
                for column, is_shared in zip(self._columns, self._is_shared, strict=True)
            ]
            self._index = None
        return self._columns

    @property
    def is_shared(self) -> tuple[bool, ...]:
        """Whether each column is one tensor for all traces."""
        return self._is_shared

    @property
    def structure(self) -> Structure:
        """Everything that is not a tensor, the same for all traces."""
        return self._structure

    @property
    def score(self) -> Tensor:
        """The score of each trace, shape `(n,)`."""
        score: Tensor = self.wide.score
        return score if score.dim() else score.expand(self._size)

    @property
    def choices(self) -> ChoiceMap:
        """The choices, each with the batch as its first dimension."""
        if self._choices is None:
            tensors, structure = take_apart(self.wide.choices)
            shared = self._shared_ids()
            columns = [
                tensor.expand(self._size, *tensor.shape) if id(tensor) in shared else tensor
                for tensor in tensors
            ]
            self._choices = put_together(columns, structure)
        return self._choices

    @property
    def retval(self) -> Any:
        """The return value, whose tensors have the batch as first dimension where they differ."""
        return self.wide.retval

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int, /) -> Trace[R_co]: ...
    @overload
    def __getitem__(self, index: slice | Tensor | Sequence[int], /) -> TraceBatch[R_co]: ...
    def __getitem__(self, index: Any, /) -> Any:
        """Return one trace, or the batch of those at a slice, a mask or a list of indices."""
        if isinstance(index, slice):
            return self._sliced(index)
        if isinstance(index, Sequence) or (isinstance(index, Tensor) and index.dim()):
            return self.gather(torch.as_tensor(index))
        return self._one(int(index))

    def __iter__(self) -> Iterator[Trace[R_co]]:
        return (self._one(i) for i in range(self._size))

    def gather(self, ancestors: Tensor) -> TraceBatch[R_co]:
        """Return the batch of the traces at `ancestors`, shape `(m,)`: indices, or a mask of shape `(n,)`.

        Nothing is copied until it is read: gathers compose, and shared columns stay one copy.
        """
        index = ancestors.nonzero().squeeze(-1) if ancestors.dtype == torch.bool else ancestors
        if self._index is not None:
            index = self._index.index_select(0, index)
        return TraceBatch(self._columns, self._is_shared, self._structure, len(index), index)

    def to(self, device: torch.device | str) -> TraceBatch[R_co]:
        """Return the batch on another device."""
        return self._mapped(lambda column: column.to(device))

    def detach(self) -> TraceBatch[R_co]:
        """Return the batch without its autograd graph."""
        return self._mapped(lambda column: column.detach())

    def spread(self) -> TraceBatch[R_co]:
        """Return the batch with a column for each occurrence of a tensor, whichever are the same."""
        columns, structure = take_apart(self.wide, once=False)
        shared = self._shared_ids()
        return TraceBatch(columns, [id(column) in shared for column in columns], structure, self._size)

    def __repr__(self) -> str:
        return f"<batch of {self._size} x {self.wide!r}>"

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> TraceBatch[R_co]:
        columns = [function(column) for column in self.columns]
        return TraceBatch(columns, self._is_shared, self._structure, self._size)

    def _one(self, position: int) -> Any:
        if not -self._size <= position < self._size:
            raise IndexError(f"There is no trace {position} in a batch of {self._size}.")
        row = position if self._index is None else int(self._index[position])
        tensors = [
            column if is_shared else column[row]
            for column, is_shared in zip(self._columns, self._is_shared, strict=True)
        ]
        return put_together(tensors, self._structure)

    def _sliced(self, index: slice) -> TraceBatch[R_co]:
        columns = [
            column if is_shared else column[index]
            for column, is_shared in zip(self.columns, self._is_shared, strict=True)
        ]
        size = len(range(*index.indices(self._size)))
        return TraceBatch(columns, self._is_shared, self._structure, size)

    def _shared_ids(self) -> set[int]:
        return {id(column) for column, shared in zip(self.columns, self._is_shared, strict=True) if shared}


def structure_error(one: Any, other: Any, position: int) -> BatchStructureError:
    """Return the error that says how two traces, or batches, differ in more than tensors."""
    here, there = set(one.choices.paths()), set(other.choices.paths())
    what = f"trace {position} has other choices than the first: {sorted(map(repr, here ^ there))[:3]}"
    if here == there:
        what = f"trace {position} has other arguments (that are not tensors) or callees than the first"
    return BatchStructureError(
        f"Traces of a batch share one structure, but {what}. Make arguments tensors, or loop over traces."
    )


def _flatten(batch: Any) -> tuple[list[Any], Any]:
    return batch.columns, (batch.is_shared, batch.structure, len(batch))


def _unflatten(columns: Any, rest: Any) -> Any:
    return TraceBatch(list(columns), *rest)


takes_apart(TraceBatch, Node(_flatten, _unflatten))
register(TraceBatch, Node(_flatten, _unflatten))
