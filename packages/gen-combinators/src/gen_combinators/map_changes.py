"""How the arguments of a Map's elements changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, final

import torch
from torch import Tensor

from gen_combinators.map_arguments import Arguments, Each
from gen_combinators.vector import Vector
from gen_core import UNCHANGED, UNKNOWN, VectorDiff
from gen_core.diff import is_comparing_plainly, is_revisiting, is_same, version_of
from gen_core.readable import values_are_readable

if TYPE_CHECKING:
    from gen_core import ArgDiffs, Diff

PerElement: TypeAlias = "Diff | Mapping[int, Diff]"
"""How one argument changed: in the same way for all elements, or for some."""


@final
class Changes:
    """For each element that was there and stays, how each of its arguments changed."""

    def __init__(
        self, old: Arguments, new: Arguments, versions: Sequence[int], diffs: ArgDiffs, kept: int
    ) -> None:
        """Compare where hints leave it open.

        Args:
            old: The arguments before.
            new: The arguments now.
            versions: The version of each argument as it was before.
            diffs: How each argument of the Map changed.
            kept: The number of elements that were there and stay.
        """
        self._kept = kept
        self.nothing: ArgDiffs = (UNCHANGED,) * len(diffs)
        """What `at` returns for an element of which no argument changed."""
        if diffs == self.nothing:
            self._changed: list[PerElement] = list(diffs)
            self._all, self._some = is_revisiting(), False
            return
        self._changed = [
            diff if diff is UNCHANGED else _changed(old.each[k], new.each[k], versions[k], diff, kept)
            for k, diff in enumerate(diffs)
        ]
        self._all = is_revisiting() or any(
            not isinstance(each, Mapping) and each is not UNCHANGED for each in self._changed
        )
        self._some = not self._all and any(isinstance(each, Mapping) for each in self._changed)

    @property
    def indices(self) -> Sequence[int]:
        """The elements of which some argument changed, in order."""
        if self._all:
            return range(self._kept)
        if not self._some:
            return ()
        return sorted({i for each in self._changed if isinstance(each, Mapping) for i in each})

    def at(self, index: int) -> ArgDiffs:
        """Return how the arguments of one element changed."""
        if not (self._all or self._some):
            return self.nothing
        return tuple(
            each.get(index, UNCHANGED) if isinstance(each, Mapping) else each for each in self._changed
        )

    def of_many(self) -> ArgDiffs:
        """Return what can be said of the arguments of any element."""
        return tuple(
            (UNKNOWN if each else UNCHANGED) if isinstance(each, Mapping) else each for each in self._changed
        )


def _changed(old: Any, new: Any, version: int, diff: Diff, kept: int) -> PerElement:
    if type(old) is not type(new):
        return UNKNOWN
    if not isinstance(new, Each):
        return diff
    if not kept:
        return {}
    if isinstance(diff, VectorDiff):
        return {i: d for i, d in diff.updated.items() if i < kept and d is not UNCHANGED}
    if not is_comparing_plainly():
        return UNKNOWN
    before, now = old.given, new.given
    if isinstance(before, Tensor) and isinstance(now, Tensor):
        return _changed_rows(before, now, version, kept)
    if isinstance(before, Tensor | Vector) or isinstance(now, Tensor | Vector):
        return UNKNOWN
    return {
        i: UNKNOWN
        for i in range(kept)
        if not is_same(before[i], now[i]) or (old.versions and old.versions[i] != version_of(now[i]))
    }


def _changed_rows(before: Tensor, now: Tensor, version: int, kept: int) -> PerElement:
    """Compare tensors by value, where that can be done; NaN differs from itself."""
    alike = before.shape[1:] == now.shape[1:] and before.dtype == now.dtype and before.device == now.device
    if before is now or not alike or before._version != version or not values_are_readable():
        return UNKNOWN
    differs = (before[:kept] != now[:kept]).reshape(kept, -1).any(1)
    found: list[int] = torch.nonzero(differs).squeeze(1).tolist()
    return UNKNOWN if len(found) == kept else dict.fromkeys(found, UNKNOWN)
