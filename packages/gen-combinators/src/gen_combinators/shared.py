"""`shared`: an argument that all elements of a Map have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, final

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@final
@dataclass(frozen=True)
class Shared(Generic[T_co]):
    """A value that every element gets whole; made by `shared`. It compares as its value does."""

    value: T_co


def shared(value: T) -> Shared[T]:
    """Return `value` as an argument of a Map that all elements share, however many there are.

    >>> Map(point)(xs, shared(slope)) @ "ys"
    """
    return Shared(value)
