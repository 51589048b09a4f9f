"""Selections: sets of addresses, and their algebra."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, final

from gen_core.address import Address, Key, Path, PathPart, as_path


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

    def keys(self) -> Collection[PathPart] | None:
        """Return keys outside of which nothing is selected, None if there may be anything.

        So that a vector of a million elements need not ask for each.
        """
        return None

    def joined(self, other: Selection, /) -> Selection | None:
        """Return one selection of what both select, where that is simpler than their union."""
        return None

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

    def keys(self) -> Collection[PathPart]:
        return ()

    def __repr__(self) -> str:
        return "NONE"

    def __reduce__(self) -> str:
        return "NONE"


ALL: Final[Selection] = _All()
"""Every address."""

NONE: Final[Selection] = _None()
"""No address."""


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

    def keys(self) -> Collection[PathPart] | None:
        left, right = self.left.keys(), self.right.keys()
        return None if left is None or right is None else {*left, *right}

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

    def keys(self) -> Collection[PathPart] | None:
        left, right = self.left.keys(), self.right.keys()
        if left is None or right is None:
            return right if left is None else left
        return left if len(left) <= len(right) else right

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
    return left.joined(right) or _Union(left, right)


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
