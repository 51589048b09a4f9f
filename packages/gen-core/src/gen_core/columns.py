"""Columns: many values of one structure, their tensors side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, final

from torch import Tensor

from gen_core.putter import putter
from gen_core.readable import is_compiling, transforms_are_active
from gen_core.structure import Structure, put_together, take_apart, takes_apart
from gen_core.torch_pytree import Node, register

FEW_ROWS = 32
"""So many rows are put together before a function is written that does it faster."""


@final
class Columns:
    """`size` values of one structure, held as one tensor for each place of a tensor in them. Immutable.

    A column's first dimension is the values', unless it is one tensor that all values share. Inside of a
    larger batch, columns have that batch's dimensions before it: each is counted from its last dimension.
    """

    def __init__(
        self,
        tensors: Sequence[Any],
        is_shared: Sequence[bool],
        structure: Structure,
        size: int,
        ndims: Sequence[int] | None = None,
        *,
        is_spread: bool = False,
    ) -> None:
        """Make columns.

        Args:
            tensors: The columns of `structure`, as `take_apart` orders them.
            is_shared: Whether a column is one tensor for all values.
            structure: Everything but tensors.
            size: The number of values.
            ndims: How many dimensions each column has without a larger batch; those it has if None.
            is_spread: Whether there is a column for each place of a tensor, and none is shared.
        """
        self.tensors = tensors
        self.is_shared = tuple(is_shared)
        self.structure = structure
        self.size = size
        self._is_spread = is_spread
        self._last: tuple[int, Any] | None = None
        self._num_rows = 0
        self.ndims: tuple[int, ...] = (
            tuple([tensor.dim() for tensor in tensors]) if ndims is None else tuple(ndims)
        )

    @classmethod
    def of(cls, whole: object, size: int) -> Columns:
        """Return the columns of a value whose tensors all have `size` as their first dimension."""
        tensors, structure = take_apart(whole, once=False)
        return cls(tensors, (False,) * len(tensors), structure, size, is_spread=True)

    @cached_property
    def whole(self) -> Any:
        """One value that has the columns in the places of its tensors."""
        return put_together(self.tensors, self.structure)

    def row(self, position: int) -> Any:
        """Return one of the values; a tensor that it holds in many places is one object in it."""
        last = self._last
        if last is not None and last[0] == position:
            return last[1]
        rows = [
            # An index is looked up faster than a call of `select` is, wherever there is no larger batch.
            tensor if dim is None else tensor[position] if dim == 0 else tensor.select(dim, position)
            for tensor, dim in self._first
        ]
        if self._places:
            rows = [rows[place] for place in self._places]
        self._num_rows += 1
        row = self._put(rows) if self._num_rows > FEW_ROWS else put_together(rows, self.structure)
        if not (self._has_graph or is_compiling() or transforms_are_active()):
            # Who reads an element often edits it next.
            self._last = position, row
        return row

    def gather(self, index: Tensor) -> Columns:
        """Return the values at `index`, shape `(m,)`."""
        columns: dict[int, Tensor] = {}
        return self._mapped(
            len(index), lambda column, dim: column.index_select(dim, index.to(column.device)), columns
        )

    def narrow(self, start: int, size: int) -> Columns:
        """Return the `size` values from `start` on."""
        columns: dict[int, Tensor] = {}
        return self._mapped(size, lambda column, dim: column.narrow(dim, start, size), columns)

    @property
    def spread(self) -> Columns:
        """The columns with one for each place of a tensor, none of them shared.

        Values that were made in different ways have the same structure so. Nothing is copied.
        """
        return self if self._is_spread else self._spread

    @cached_property
    def _spread(self) -> Columns:
        tensors, structure = take_apart(self.whole, once=False)
        shared = {id(t) for t, is_shared in zip(self.tensors, self.is_shared, strict=True) if is_shared}
        ndims = {id(tensor): ndim for tensor, ndim in zip(self.tensors, self.ndims, strict=True)}
        wide: dict[int, Tensor] = {}
        for tensor in tensors:
            if id(tensor) in shared and id(tensor) not in wide:
                wide[id(tensor)] = tensor.expand(self.size, *tensor.shape)
        return Columns(
            [wide.get(id(tensor), tensor) for tensor in tensors],
            (False,) * len(tensors),
            structure,
            self.size,
            [ndims.get(id(t), t.dim()) + (1 if id(t) in shared else 0) for t in tensors],
            is_spread=True,
        )

    def part(self, value: object, *others: Columns) -> Columns:
        """Return the columns of `value`, a part of `whole`, or made of its tensors and those of `others`."""
        tensors, structure = take_apart(value, once=False)
        known = {
            id(tensor): (is_shared, ndim)
            for columns in (self, *others)
            for tensor, is_shared, ndim in zip(columns.tensors, columns.is_shared, columns.ndims, strict=True)
        }
        found = [known.get(id(tensor), (False, tensor.dim())) for tensor in tensors]
        return Columns(tensors, [s for s, _ in found], structure, self.size, [n for _, n in found])

    def map(self, function: Callable[[Tensor], Any]) -> Columns:
        """Return the columns that `function` makes of each of these, spread; the rows stay where they are."""
        spread = self.spread
        tensors = [function(tensor) for tensor in spread.tensors]
        ndims = [
            new.dim() - old.dim() + ndim
            for new, old, ndim in zip(tensors, spread.tensors, spread.ndims, strict=True)
        ]
        shared = (False,) * len(tensors)
        return Columns(tensors, shared, spread.structure, spread.size, ndims, is_spread=True)

    @cached_property
    def _has_graph(self) -> bool:
        return any(tensor.requires_grad for tensor in self.tensors)

    @cached_property
    def _put(self) -> Callable[[Sequence[Any]], Any]:
        return putter(self.structure)

    @cached_property
    def _first(self) -> list[tuple[Any, int | None]]:
        """Each column once, with the dimension of the values, None if it is shared."""
        found: dict[int, tuple[Any, int | None]] = {}
        for tensor, is_shared, ndim in zip(self.tensors, self.is_shared, self.ndims, strict=True):
            found.setdefault(id(tensor), (tensor, None if is_shared else tensor.dim() - ndim))
        return list(found.values())

    @cached_property
    def _places(self) -> list[int]:
        """For each column, which of `_first` it is; empty if each is its own."""
        order = {id(tensor): place for place, (tensor, _) in enumerate(self._first)}
        return [order[id(tensor)] for tensor in self.tensors] if len(order) < len(self.tensors) else []

    def _mapped(self, size: int, function: Any, columns: dict[int, Tensor]) -> Columns:
        tensors = []
        for column, is_shared, ndim in zip(self.tensors, self.is_shared, self.ndims, strict=True):
            if not is_shared and id(column) not in columns:
                columns[id(column)] = function(column, column.dim() - ndim)
            tensors.append(column if is_shared else columns[id(column)])
        return Columns(tensors, self.is_shared, self.structure, size, self.ndims, is_spread=self._is_spread)


def _flatten(columns: Any) -> tuple[list[Any], Any]:
    spread = columns.spread
    return list(spread.tensors), (spread.structure, spread.size, spread.ndims)


def _unflatten(tensors: Any, rest: Any) -> Columns:
    structure, size, ndims = rest
    return Columns(list(tensors), (False,) * len(ndims), structure, size, ndims, is_spread=True)


takes_apart(Columns, Node(_flatten, _unflatten))
register(Columns, Node(_flatten, _unflatten))
