"""Addresses: the names of random choices."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, SupportsIndex, TypeAlias, TypeVar, final

T_co = TypeVar("T_co", covariant=True)

Part: TypeAlias = str | SupportsIndex
"""One part of an address, as users write it: a string, or anything with `__index__`."""

Address: TypeAlias = Part | tuple[Part, ...]
"""An address, as users write it: a part, or a tuple of parts."""

PathPart: TypeAlias = str | int
"""One part of an address, normalised."""

Path: TypeAlias = tuple[PathPart, ...]
"""An address, normalised. The empty path is the address of a distribution's one choice."""


@final
@dataclass(frozen=True, init=False)
class Key(Generic[T_co]):
    """An address that carries the type of its value to the type checker.

    >>> SLOPE = Key[Tensor]("slope")
    >>> trace[SLOPE]  # a Tensor, also for mypy
    """

    path: Path

    def __init__(self, *parts: Part) -> None:
        object.__setattr__(self, "path", as_path(parts))

    def __repr__(self) -> str:
        return f"Key({', '.join(map(repr, self.path))})"


def as_path(address: Address | Key[Any]) -> Path:
    """Return `address` as a tuple of its parts, each a plain `str` or `int`.

    Raises:
        AddressError: A part is neither a string nor an index.
    """
    # The types of nearly every address come first: this runs once a choice.
    if type(address) is str or type(address) is int:
        return (address,)
    if type(address) is tuple:
        for part in address:
            if type(part) is not str and type(part) is not int:
                return _normalise(address)
        known: Any = address
        path: Path = known  # what the loop has checked
        return path
    if isinstance(address, Key):
        return address.path
    return _normalise(address)


def bare(path: Path) -> Address:
    """Return `path` as users write it: of one part, the part itself."""
    return path[0] if len(path) == 1 else path


def show(path: Path) -> str:
    """Return `path` as it is written after `@`: `'x'`, `3`, `('y', 3)`."""
    return repr(bare(path))


def show_all(paths: Iterable[Path], *, limit: int = 10) -> str:
    """Return `paths` as a comma separated list of at most `limit`, or the word nothing."""
    shown = [show(path) for path in paths]
    more = [f"and {len(shown) - limit} more"] if len(shown) > limit else []
    return ", ".join(shown[:limit] + more) or "nothing"


def nearest(path: Path, paths: Iterable[Path], n: int = 3) -> list[Path]:
    """Return the `n` of `paths` most like `path`, best first; the first `n` if none is."""
    by_name = {show(known): known for known in paths}
    names = get_close_matches(show(path), by_name, n)
    return [by_name[name] for name in names] or list(by_name.values())[:n]


def _normalise(address: Address) -> Path:
    parts = address if isinstance(address, tuple) else (address,)
    return tuple([_normalise_part(part, address) for part in parts])


def _normalise_part(part: Part, address: Address) -> PathPart:
    if isinstance(part, str):
        return str.__str__(part)  # of a subclass such as an enum, the characters
    try:
        return operator.index(part)
    except TypeError:
        # The errors show addresses, so they import this module.
        from gen_core.address_errors import AddressError

        raise AddressError(part, address) from None
