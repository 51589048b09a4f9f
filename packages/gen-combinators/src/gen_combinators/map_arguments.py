"""The arguments of a Map, element by element and all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from gen_combinators.errors import ElementsLengthError, NoElementsError
from gen_combinators.shared import Shared
from gen_combinators.stacking import stacked
from gen_combinators.vector import Vector
from gen_core.call import Call
from gen_core.columns import Columns
from gen_core.diff import version_of

if TYPE_CHECKING:
    from gen_core import GenerativeFunction


class Stacked(NamedTuple):
    """The kernel's arguments for many elements: values, and for each whether it has a row an element."""

    values: list[Any]
    in_dims: list[int | None]


@final
class Arguments:
    """The arguments of one call of a Map, as its kernel gets them.

    Where elements run batched, each gets rows of tensors, also if it runs alone: so its trace has the
    structure of the others'.
    """

    def __init__(
        self, name: str, kernel: GenerativeFunction[..., Any], call: Call[Any], copies: int | None
    ) -> None:
        """Split the arguments of `call`, all of which are shared if the number of `copies` is given.

        Raises:
            NoElementsError: An argument has no length and is not shared, or all are shared.
            ElementsLengthError: Two arguments have different lengths.
        """
        self.kernel = kernel
        self._num_args = len(call.args)
        self._names = tuple(call.kwargs)
        values = call.values()
        if copies is not None:
            self.each: list[Each | Shared[Any]] = [Shared(value) for value in values]
            self.length = copies
            return
        names = call.gen_fn.binder.names(call.args, call.kwargs)
        self.each = [
            value if isinstance(value, Shared) else Each(_checked(name, parameter, value))
            for parameter, value in zip(names, values, strict=True)
        ]
        lengths = {
            parameter: len(argument)
            for parameter, argument in zip(names, self.each, strict=True)
            if isinstance(argument, Each)
        }
        if not lengths:
            raise NoElementsError(name)
        if len(set(lengths.values())) > 1:
            raise ElementsLengthError(name, lengths)
        self.length = next(iter(lengths.values()))

    def values(self, index: int, *, in_rows: bool) -> tuple[Any, ...]:
        """Return the kernel's arguments for one element, as rows of tensors or as they were given."""
        return tuple(
            argument.value if isinstance(argument, Shared) else argument.at(index, in_rows)
            for argument in self.each
        )

    def call_of(self, values: Sequence[Any]) -> Call[Any]:
        """Return the call of the kernel with these arguments, keyword arguments last."""
        if not self._names:
            return Call(self.kernel, tuple(values))
        keywords = dict(zip(self._names, values[self._num_args :], strict=True))
        return Call(self.kernel, tuple(values[: self._num_args]), keywords)

    def stacked(self, indices: Sequence[int]) -> Stacked | None:
        """Return the arguments of the elements at `indices`, None if some do not stack."""
        values: list[Any] = []
        in_dims: list[int | None] = []
        for argument in self.each:
            if isinstance(argument, Shared):
                values.append(argument.value)
                in_dims.append(None)
                continue
            columns = argument.columns
            if columns is None:
                return None
            if not columns.tensors:  # equal objects
                values.append(columns.whole)
                in_dims.append(None)
                continue
            if len(indices) < columns.size:
                columns = _part(columns, indices)
            values.append(columns.whole)
            in_dims.append(0)
        return Stacked(values, in_dims)


@final
class Each:
    """One argument with a value for each element."""

    def __init__(self, given: Tensor | Sequence[Any]) -> None:
        self.given = given
        is_plain = not isinstance(given, Tensor | Vector)
        self.versions = tuple(map(version_of, given)) if is_plain and type(given) is not range else ()
        self._columns: Columns | None = None
        self._is_stacked = False

    def __len__(self) -> int:
        return len(self.given)

    def at(self, index: int, in_rows: bool) -> Any:
        """Return the value for one element."""
        if in_rows and type(self.given) is not Tensor:
            columns = self.columns
            if columns is not None:
                return columns.row(index)
        return self.given[index]

    @property
    def columns(self) -> Columns | None:
        """The values of all elements, None if they do not stack."""
        if not self._is_stacked:
            self._columns = self._stack()
            self._is_stacked = True
        return self._columns

    def _stack(self) -> Columns | None:
        given = self.given
        if isinstance(given, Tensor):
            return Columns.of(given, len(given))
        if isinstance(given, range):
            return Columns.of(torch.arange(given.start, given.stop, given.step), len(given))
        if isinstance(given, Vector):
            columns = given.source.columns()
            return None if columns is None else columns.spread
        if given and given[0] is None:
            return Columns([], (), _NONE, len(given)) if all(value is None for value in given) else None
        whole = stacked(given)
        return None if whole is None else Columns.of(whole, len(given))


def _checked(function: str, parameter: str, value: Any) -> Tensor | Sequence[Any]:
    """Return an argument as what has a length, as it is now: lists and arrays may be changed later."""
    if isinstance(value, Tensor) and value.dim():
        return value
    if isinstance(value, Vector | range | tuple):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        return tuple(value) if value.dtype.hasobject else torch.tensor(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(value)
    raise NoElementsError(function, parameter, value)


def _part(columns: Columns, indices: Sequence[int]) -> Columns:
    if isinstance(indices, range) and indices.step == 1:
        return columns.narrow(indices.start, len(indices))
    return columns.gather(torch.as_tensor(indices, device=columns.tensors[0].device))


_NONE = Columns.of(None, 0).structure
