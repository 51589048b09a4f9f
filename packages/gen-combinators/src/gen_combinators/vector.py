"""Vectors: immutable sequences of return values, read from traces or tensors when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, final, overload

import torch
from torch import Tensor

from gen_combinators.stacking import stacked
from gen_core.columns import Columns
from gen_core.structure import put_together, take_apart, takes_apart
from gen_core.torch_pytree import Node, register

R_co = TypeVar("R_co", covariant=True)


class Source(Protocol):
    """Where a vector reads its elements."""

    def __len__(self) -> int: ...

    def value(self, index: int, /) -> Any:
        """Return the element at `0 <= index < n`."""
        ...

    def columns(self) -> Columns | None:
        """Return all elements as columns, None if they have no common structure."""
        ...

    def held(self) -> Columns | None:
        """Return the columns that elements are rows of, None if columns would have to be made of them."""
        ...


@final
class Vector(Sequence[R_co]):
    """An immutable sequence. It equals any sequence of equal elements.

    What `Map` and `Unfold` return. An element is read when it is asked for; `stack` gives all of them as
    tensors at once. The same vector counts as unchanged where it is an argument.
    """

    __slots__ = ("_source",)

    is_persistent = True

    def __init__(self, elements: Iterable[R_co] = ()) -> None:
        """Make a vector of these elements."""
        self._source: Source = _Values(tuple(elements))

    @staticmethod
    def reading(source: Source) -> Vector[Any]:
        """Return the vector of what `source` has, which must not change."""
        vector: Vector[Any] = Vector.__new__(Vector)
        vector._source = source
        return vector

    @staticmethod
    def of_stacked(whole: object, size: int) -> Vector[Any]:
        """Return the vector of the rows of the tensors in a value."""
        return Vector.reading(_Rows(Columns.of(whole, size)))

    @property
    def source(self) -> Source:
        """Where the elements are read."""
        return self._source

    def stack(self) -> Any:
        """Return all elements as one value, whose tensors have them as first dimension.

        Of numbers, that is a tensor of shape `(n,)`; of tensors, one of shape `(n, ...)`; of tuples or
        dicts of these, a tuple or dict of such tensors. Autograd goes through it.

        Raises:
            ValueError: The elements differ in structure, or there is none.
        """
        columns = self._source.columns()
        if columns is None:
            raise ValueError(
                f"The {len(self)} elements of this vector do not stack: they differ in structure, or there "
                f"is none."
            )
        return columns.spread.whole

    def __len__(self) -> int:
        return len(self._source)

    @overload
    def __getitem__(self, index: int, /) -> R_co: ...
    @overload
    def __getitem__(self, index: slice, /) -> Vector[R_co]: ...
    def __getitem__(self, index: Any, /) -> Any:
        if isinstance(index, slice):
            return Vector(self._source.value(i) for i in range(*index.indices(len(self))))
        position = index.__index__()
        position = position + len(self) if position < 0 else position
        if not 0 <= position < len(self):
            raise IndexError(f"There is no element {index} in a vector of {len(self)}.")
        return self._source.value(position)

    def __iter__(self) -> Iterator[R_co]:
        return (self._source.value(i) for i in range(len(self._source)))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Sequence) or isinstance(other, str) or len(other) != len(self):
            return False
        return all(_same(one, two) for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(repr(self[i]) for i in range(min(len(self), _SHOWN)))
        more = f", ... {len(self) - _SHOWN} more" if len(self) > _SHOWN else ""
        return f"Vector([{shown}{more}])"


@final
class _Values:
    """Elements that are there."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def value(self, index: int, /) -> Any:
        return self._values[index]

    def columns(self) -> Columns | None:
        whole = stacked(self._values)
        return None if whole is None else Columns.of(whole, len(self._values))

    def held(self) -> None:
        return None


@final
class _Rows:
    """Elements that are rows of tensors."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return self._columns.size

    def value(self, index: int, /) -> Any:
        return self._columns.row(index)

    def columns(self) -> Columns | None:
        return self._columns

    def held(self) -> Columns | None:
        return self._columns


_SHOWN = 10


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return one.shape == two.shape and bool(torch.equal(one, two))
    return bool(one == two)


def _flatten(vector: Any) -> tuple[list[Any], Any]:
    # Nothing is stacked here: tensors of a batch of vectors have the batch, not the elements, first.
    columns = vector.source.held()
    return ([*vector], False) if columns is None else ([columns], True)


def _unflatten(parts: Any, are_columns: Any) -> Any:
    if not are_columns:
        return Vector(parts)
    (columns,) = parts
    return Vector.reading(_Rows(columns))


takes_apart(Vector, Node(_flatten, _unflatten))
# To torch, the leaves are the tensors alone, however deep they lie.
register(Vector, Node(take_apart, lambda tensors, structure: put_together(list(tensors), structure)))
