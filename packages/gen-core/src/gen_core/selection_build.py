"""Selections as users write them: by address, with wildcards, by predicate, by the addresses of choices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, final

from gen_core.address import Address, Key, Part, Path, PathPart, as_path, show
from gen_core.address_errors import SelectionError
from gen_core.choicemap_build import Choices, choicemap
from gen_core.selection import ALL, NONE, Selection


@final
class Wildcard(Enum):
    """The type of `ANY`."""

    ANY = "ANY"

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = Wildcard.ANY
"""In `select`, matches any one key at one level."""

Pattern: TypeAlias = "Address | Key[Any] | Wildcard | tuple[Part | Wildcard, ...]"


def select(*addresses: Pattern | Selection) -> Selection:
    """Select each address and everything below it.

    Args:
        *addresses: Addresses, in which `ANY` matches one key at one level, or selections.

    >>> select("slope", ("ys", ANY, "x"))

    Raises:
        AddressError: An argument is not an address.
    """
    if len(addresses) == 1 and type(addresses[0]) is str:
        return _matching_one(_pattern(addresses[0]))
    patterns = [_pattern(address) for address in addresses if not isinstance(address, Selection)]
    selection = _matching(patterns)
    for address in addresses:
        if isinstance(address, Selection):
            selection |= address
    return selection


def where(predicate: Callable[[Path], bool]) -> Selection:
    """Select the choices at whose full path `predicate` is true."""
    return _Where(predicate, ())


def selection_of(choices: Choices) -> Selection:
    """Select the addresses of `choices`, and what is below them, where they exist.

    Raises:
        ChoicesError: `choices` is neither a choice map nor a dict.
    """
    return choicemap(choices).addresses()


def as_selection(given: object) -> Selection:
    """Return a selection as it is, and an address, or a set or list of them, as `select` does.

    Raises:
        SelectionError: `given` is nothing of this kind.
    """
    if isinstance(given, Selection):
        return given
    several = isinstance(given, set | frozenset | list)
    addresses: Any = given if several else (given,)
    try:
        return select(*addresses)
    except TypeError:
        raise SelectionError(given) from None


class _Pattern(NamedTuple):
    parts: tuple[PathPart | Wildcard, ...]
    is_literal: bool  # of the whole that the user wrote: the rest below a wildcard is not


@final
class _Select(Selection):
    """Patterns as a trie: below a key that no pattern names, only what wildcards match is left."""

    __slots__ = ("_children", "_patterns", "_rest")

    def __init__(self, patterns: Iterable[_Pattern]) -> None:
        self._patterns = tuple(dict.fromkeys(patterns))
        wild = [_tail(p) for p in self._patterns if p.parts[0] is ANY]
        tails: dict[PathPart, list[_Pattern]] = {}
        for pattern in self._patterns:
            head = pattern.parts[0]
            if not isinstance(head, Wildcard):
                tails.setdefault(head, []).append(_tail(pattern))
        self._rest = _matching(wild)
        self._children = {head: _matching(below + wild) for head, below in tails.items()}

    def child(self, key: PathPart, /) -> Selection:
        return self._children.get(key, self._rest)

    @property
    def selects_here(self) -> bool:
        return False

    def keys(self) -> Collection[PathPart] | None:
        return self._children.keys() if self._rest is NONE else None

    def literals(self) -> Iterator[Path]:
        for pattern in self._patterns:
            if pattern.is_literal:
                parts: Any = pattern.parts
                yield parts

    def joined(self, other: Selection, /) -> Selection | None:
        return _Select(self._patterns + other._patterns) if isinstance(other, _Select) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Select):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> frozenset[object]:
        return frozenset(pattern.parts for pattern in self._patterns)

    def __repr__(self) -> str:
        parts: list[Any] = [pattern.parts for pattern in self._patterns]
        return f"select({', '.join(map(show, parts))})"


@final
@dataclass(frozen=True, slots=True)
class _Where(Selection):
    predicate: Callable[[Path], bool]
    prefix: Path

    def child(self, key: PathPart, /) -> Selection:
        return _Where(self.predicate, (*self.prefix, key))

    @property
    def selects_here(self) -> bool:
        return bool(self.predicate(self.prefix))

    def __repr__(self) -> str:
        below = f".under({show(self.prefix)})" if self.prefix else ""
        return f"where({self.predicate!r}){below}"


def _matching(patterns: list[_Pattern]) -> Selection:
    if not patterns:
        return NONE
    if len(patterns) == 1:
        return _matching_one(patterns[0])
    return _Select(patterns) if all(pattern.parts for pattern in patterns) else ALL


@lru_cache(maxsize=4096)  # a sweep over choices selects the same ones again and again
def _matching_one(pattern: _Pattern) -> Selection:
    return _Select([pattern]) if pattern.parts else ALL


def _tail(pattern: _Pattern) -> _Pattern:
    return _Pattern(pattern.parts[1:], pattern.is_literal)


def _pattern(address: Pattern) -> _Pattern:
    if isinstance(address, Wildcard):
        return _Pattern((ANY,), is_literal=False)
    if isinstance(address, tuple) and any(part is ANY for part in address):
        parts = [part if isinstance(part, Wildcard) else as_path((part,))[0] for part in address]
        return _Pattern(tuple(parts), is_literal=False)
    plain: Any = address
    return _Pattern(as_path(plain), is_literal=True)
