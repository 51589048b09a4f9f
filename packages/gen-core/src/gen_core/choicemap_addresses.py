"""The addresses of a choice map, as a selection."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, final

from gen_core.address import Path, PathPart
from gen_core.selection import ALL, NONE, Selection

if TYPE_CHECKING:
    from gen_core.choicemap import ChoiceMap


def addresses_of(choices: ChoiceMap) -> Selection:
    """Return the selection of the addresses of `choices` and what is below them, where they exist."""
    if choices.is_leaf:
        return ALL
    return NONE if choices.is_empty else _Addresses(choices)


@final
class _Addresses(Selection):
    """A view of a branch: a selection without literals, since a missing address is no mistake."""

    __slots__ = ("_choices",)

    def __init__(self, choices: ChoiceMap) -> None:
        self._choices = choices

    def child(self, key: PathPart, /) -> Selection:
        return addresses_of(self._choices.child(key))

    @property
    def selects_here(self) -> bool:
        return False

    def keys(self) -> Collection[PathPart]:
        return self._choices.child_keys()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Addresses):
            return NotImplemented
        return self._paths() == other._paths()

    def __hash__(self) -> int:
        return hash(self._paths())

    def _paths(self) -> frozenset[Path]:
        return frozenset(self._choices.paths())

    def __repr__(self) -> str:
        return f"{self._choices!r}.addresses()"
