"""Choices of many alike elements, held as whole tensors: what a million rows need not be taken apart for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, final

import torch
from torch import Tensor

from gen_core.address_errors import NoChoiceError, RowsError
from gen_core.choicemap import EMPTY, ChoiceMap, branch
from gen_core.choicemap_build import Choices, choicemap
from gen_core.columns import Columns
from gen_core.structure import takes_apart
from gen_core.torch_pytree import Node, register

if TYPE_CHECKING:
    from gen_core.address import Path, PathPart
    from gen_core.selection import Selection


def rows(choices: Choices | Tensor, keys: Sequence[int] | None = None) -> ChoiceMap:
    """Return the choices of many alike elements, given as tensors with a row for each.

    The choices at index `i` are row `i` of every tensor. So a Map of 100,000 elements is constrained
    without a loop over them.

    Args:
        choices: The addresses of one element, and for each the values of all, with the elements as the
            first dimension. Of elements that are one choice each, the tensor alone.
        keys: The indices of the elements, `0` to `n - 1` if None.

    Raises:
        RowsError: A value is not a tensor or array, or their first dimensions differ.

    >>> points(xs).generate({"ys": rows({"y": ys})})
    """
    given = choicemap({(): choices} if isinstance(choices, Tensor) else choices)
    whole = given.map_whole(_tensor)
    if whole.is_empty:
        return EMPTY
    sizes = {path: len(value) if value.dim() else None for path, value in whole.leaves()}
    size = next(iter(sizes.values()))
    if size is None or any(other != size for other in sizes.values()):
        raise RowsError({path: tuple(value.shape) for path, value in whole.leaves()})
    if keys is not None and len(keys) != size:
        raise RowsError({path: tuple(value.shape) for path, value in whole.leaves()}, len(keys))
    return Rows.of(Columns.of(whole, size), keys)


@final
class Rows(ChoiceMap):
    """Choices by index, each a row of the same tensors; made by `rows`."""

    __slots__ = ("_keys", "_positions", "columns")

    is_leaf: Final = False

    def __init__(self, columns: Columns, keys: Sequence[int] | None) -> None:
        """Hold columns of choice maps that are not empty; use `Rows.of` where they may be."""
        self.columns = columns
        self._keys = None if keys is None else tuple(keys)
        self._positions: Mapping[PathPart, int] | None = None

    @staticmethod
    def of(columns: Columns, keys: Sequence[int] | None = None) -> ChoiceMap:
        """Return these rows; `EMPTY` for no rows, or rows without choices."""
        if not columns.size or columns.whole.is_empty:
            return EMPTY
        return Rows(columns, keys)

    @property
    def is_dense(self) -> bool:
        """Whether the keys are 0 to n - 1, in order."""
        return self._keys is None

    @property
    def whole(self) -> ChoiceMap:
        """The choices of one element, with the values of all in the place of each value."""
        choices: ChoiceMap = self.columns.spread.whole
        return choices

    def child(self, key: PathPart, /) -> ChoiceMap:
        position = self.position(key)
        if position is None:
            return EMPTY
        choices: ChoiceMap = self.columns.row(position)
        return choices

    def child_keys(self) -> Collection[PathPart]:
        return range(self.columns.size) if self._keys is None else self._keys

    @property
    def value(self) -> Any:
        raise NoChoiceError((), self.paths())

    def paths_of_children(self) -> list[Path]:
        """Return the addresses of any element."""
        whole: ChoiceMap = self.columns.whole
        return whole.paths()

    def filtered(self, selection: Selection, /) -> ChoiceMap:
        """Return the selected choices: rows again, if the same is selected of all."""
        parts = [selection.child(key) for key in self.child_keys()]
        if any(part is not parts[0] and part != parts[0] for part in parts):
            return branch(
                (key, self.child(key).filter(part))
                for key, part in zip(self.child_keys(), parts, strict=True)
            )
        return Rows.of(self.columns.part(self.columns.whole.filter(parts[0])), self._keys)

    def map_whole(self, function: Callable[[Any], object], /) -> ChoiceMap:
        """Return rows of what `function` makes of the tensors."""
        return Rows.of(self.columns.map(function), self._keys)

    def overridden(self, other: ChoiceMap, /) -> ChoiceMap | None:
        """Return rows again, if `other` has rows for the same keys."""
        if (
            not isinstance(other, Rows)
            or other._keys != self._keys
            or other.columns.size != self.columns.size
        ):
            return None
        mine, others = self.columns.spread, other.columns.spread
        return Rows.of(mine.part(mine.whole.override(others.whole), others), self._keys)

    def examples(self) -> list[Path]:
        """Return the addresses of the first element."""
        key = next(iter(self.child_keys()))
        return [(key, *path) for path in self.child(key).examples()]

    def position(self, key: PathPart) -> int | None:
        """Return the row of the element at `key`, None if there is none."""
        if self._keys is None:
            return key if isinstance(key, int) and 0 <= key < self.columns.size else None
        if self._positions is None:
            self._positions = {key: position for position, key in enumerate(self._keys)}
        return self._positions.get(key)

    def __reduce__(self) -> tuple[object, ...]:
        return Rows, (self.columns, self._keys)


def _tensor(value: object) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(value)


def _flatten(choices: Any) -> tuple[list[Any], Any]:
    return [choices.columns], choices._keys


def _unflatten(parts: Any, keys: Any) -> Any:
    (columns,) = parts
    return Rows(columns, keys)


takes_apart(Rows, Node(_flatten, _unflatten))
register(Rows, Node(_flatten, _unflatten))
