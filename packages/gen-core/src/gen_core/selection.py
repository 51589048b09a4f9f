"""Selections: sets of addresses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, final

from gen_core.address import Address, Key, Part, Path, PathPart, as_path, show
from gen_core.errors import SelectionError

if TYPE_CHECKING:
    from gen_core.choicemap import Choices


class Selection(ABC):
    """A set of addresses.

    To write one, implement `child` and `selects_here`. Where nothing or everything is left,
    `child` returns the very objects `NONE` and `ALL`, which callers test with `is`.
    """

    __slots__ = ()

    @abstractmethod
    def child(self, key: PathPart, /) -> Selection:
        """Return what is selected below one normalised key, relative to it."""

    @property
    @abstractmethod
    def selects_here(self) -> bool:
        """Whether the empty address is selected."""

    def literals(self) -> Iterator[Path]:
        """Yield the addresses that the user wrote out: a mistake, where one does not exist."""
        return iter(())

    @final
    def under(self, address: Address | Key[Any], /) -> Selection:
        """Return what is selected below `address`, relative to it."""
        selection: Selection = self
        for key in as_path(address):
            selection = selection.child(key)
        return selection

    @final
    def __contains__(self, address: Address | Key[Any], /) -> bool:
        return self.under(address).selects_here

    @final
    def __or__(self, other: Selection, /) -> Selection:
        if not isinstance(other, Selection):
            return NotImplemented
        return _union(self, other)

    @final
    def __and__(self, other: Selection, /) -> Selection:
        if not isinstance(other, Selection):
            return NotImplemented
        return _intersection(self, other)

    @final
    def __sub__(self, other: Selection, /) -> Selection:
        if not isinstance(other, Selection):
            return NotImplemented
        return _intersection(self, _complement(other))

    @final
    def __invert__(self) -> Selection:
        return _complement(self)


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
    # Choice maps are filtered by selections, so they import this module.
    from gen_core.choicemap import choicemap

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


@final
class _All(Selection):
    __slots__ = ()

    def child(self, key: PathPart, /) -> Selection:
        return self

    @property
    def selects_here(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "ALL"

    def __reduce__(self) -> str:  # a copy must be this very object
        return "ALL"


@final
class _None(Selection):
    __slots__ = ()

    def child(self, key: PathPart, /) -> Selection:
        return self

    @property
    def selects_here(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NONE"

    def __reduce__(self) -> str:
        return "NONE"


ALL: Final[Selection] = _All()
"""Every address."""

NONE: Final[Selection] = _None()
"""No address."""


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

    def literals(self) -> Iterator[Path]:
        for parts, is_literal in self._patterns:
            if is_literal:
                yield tuple(part for part in parts if not isinstance(part, Wildcard))

    def joined(self, other: _Select) -> _Select:
        return _Select(self._patterns + other._patterns)

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


@final
@dataclass(frozen=True, slots=True)
class _Union(Selection):
    left: Selection
    right: Selection

    def child(self, key: PathPart, /) -> Selection:
        return _union(self.left.child(key), self.right.child(key))

    @property
    def selects_here(self) -> bool:
        return self.left.selects_here or self.right.selects_here

    def literals(self) -> Iterator[Path]:
        yield from self.left.literals()
        yield from self.right.literals()

    def __repr__(self) -> str:
        return f"({self.left!r} | {self.right!r})"


@final
@dataclass(frozen=True, slots=True)
class _Intersection(Selection):
    left: Selection
    right: Selection

    def child(self, key: PathPart, /) -> Selection:
        return _intersection(self.left.child(key), self.right.child(key))

    @property
    def selects_here(self) -> bool:
        return self.left.selects_here and self.right.selects_here

    def literals(self) -> Iterator[Path]:
        yield from self.left.literals()
        yield from self.right.literals()

    def __repr__(self) -> str:
        return f"({self.left!r} & {self.right!r})"


@final
@dataclass(frozen=True, slots=True)
class _Complement(Selection):
    inner: Selection

    def child(self, key: PathPart, /) -> Selection:
        return _complement(self.inner.child(key))

    @property
    def selects_here(self) -> bool:
        return not self.inner.selects_here

    def literals(self) -> Iterator[Path]:
        return self.inner.literals()

    def __repr__(self) -> str:
        return f"~{self.inner!r}"


def _union(left: Selection, right: Selection) -> Selection:
    if left is NONE or right is ALL or left is right:
        return right
    if right is NONE or left is ALL:
        return left
    if isinstance(left, _Select) and isinstance(right, _Select):
        return left.joined(right)
    return _Union(left, right)


def _intersection(left: Selection, right: Selection) -> Selection:
    if left is ALL or right is NONE or left is right:
        return right
    if right is ALL or left is NONE:
        return left
    return _Intersection(left, right)


def _complement(inner: Selection) -> Selection:
    if inner is ALL:
        return NONE
    if inner is NONE:
        return ALL
    return inner.inner if isinstance(inner, _Complement) else _Complement(inner)


def _matching(patterns: list[_Pattern]) -> Selection:
    if not patterns:
        return NONE
    return _Select(patterns) if all(pattern.parts for pattern in patterns) else ALL


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
