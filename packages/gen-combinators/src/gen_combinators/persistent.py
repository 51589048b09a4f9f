"""Persistent vectors: immutable, and an edited copy shares all but a few nodes with the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar, final

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

BITS: Final = 5
WIDTH: Final = 1 << BITS
_MASK: Final = WIDTH - 1
_NOTHING: Final = [None] * WIDTH


@final
class PersistentVector(Generic[T_co]):
    """An immutable vector as a radix trie of nodes with 32 children (Bagwell 2001, Hickey's Clojure).

    Reading, replacing, appending and cutting off cost O(log32 n). A subtree whose elements are all None is
    not stored, so that a vector of a million elements of which a few are set is small.
    """

    __slots__ = ("_root", "_shift", "_size")

    is_persistent = True

    def __init__(self, elements: Iterable[T_co] = ()) -> None:
        """Make a vector of these elements."""
        leaves: list[Any] = list(elements)
        self._size = len(leaves)
        self._shift, self._root = _grown(leaves)

    @classmethod
    def of_none(cls, size: int) -> PersistentVector[None]:
        """Return a vector of `size` times None."""
        return _make(None, _shift_for(size), size)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int, /) -> T_co:
        """Return an element. Raises IndexError outside of `-n <= index < n`."""
        # Spelled out: an edit of one element reads five times.
        position = index if 0 <= index < self._size else self._position(index)
        node = self._root
        shift = self._shift
        while shift >= 0 and node is not None:
            node = node[(position >> shift) & _MASK]
            shift -= BITS
        return node  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[T_co]:
        for start in range(0, self._size, WIDTH):
            leaf: Any = self._leaf(start) or _NOTHING
            yield from leaf[: self._size - start]

    def items(self) -> Iterator[tuple[int, T_co]]:
        """Yield the index and the element of all that are not None, in order, at no cost for the others."""
        yield from _items(self._root, self._shift, 0)

    def set(self: PersistentVector[T], index: int, value: T) -> PersistentVector[T]:
        """Return the vector with another element at `index`."""
        position = self._position(index)
        return _make(_set(self._root, self._shift, position, value), self._shift, self._size)

    def append(self: PersistentVector[T], value: T) -> PersistentVector[T]:
        """Return the vector with one more element."""
        root, shift = self._root, self._shift
        if self._size == WIDTH << shift:
            root = None if root is None else [root, *[None] * (WIDTH - 1)]
            shift += BITS
        return _make(_set(root, shift, self._size, value), shift, self._size + 1)

    def extend(self: PersistentVector[T], values: Iterable[T]) -> PersistentVector[T]:
        """Return the vector with these elements at its end."""
        vector = self
        for value in values:
            vector = vector.append(value)
        return vector

    def truncate(self, size: int) -> PersistentVector[T_co]:
        """Return the vector of the first `size` elements, which forgets the others."""
        if not 0 <= size <= self._size:
            raise IndexError(f"A vector of {self._size} elements has no first {size}.")
        root, shift = self._root, self._shift
        while shift and size <= 1 << shift:
            root = None if root is None else root[0]
            shift -= BITS
        return _make(_cut(root, shift, size), shift, size)

    def __repr__(self) -> str:
        return f"PersistentVector({list(self)!r})"

    def _position(self, index: int) -> int:
        position = index + self._size if index < 0 else index
        if not 0 <= position < self._size:
            raise IndexError(f"There is no element {index} in a vector of {self._size}.")
        return position

    def _leaf(self, position: int) -> Any:
        node = self._root
        for shift in range(self._shift, 0, -BITS):
            if node is None:
                return None
            node = node[(position >> shift) & _MASK]
        return node


def _make(root: Any, shift: int, size: int) -> PersistentVector[Any]:
    vector: PersistentVector[Any] = PersistentVector.__new__(PersistentVector)
    vector._root, vector._shift, vector._size = root, shift, size
    return vector


def _grown(leaves: list[Any]) -> tuple[int, Any]:
    """Return the height, in bits, and the root of a trie."""
    nodes = _chunks(leaves)
    shift = 0
    while len(nodes) > 1:
        nodes = _chunks(nodes)
        shift += BITS
    return shift, nodes[0] if nodes else None


def _chunks(parts: Sequence[Any]) -> list[Any]:
    """Return nodes of 32 parts each, None for those that hold nothing."""
    chunks = [list(parts[start : start + WIDTH]) for start in range(0, len(parts), WIDTH)]
    if chunks:
        chunks[-1] += [None] * (WIDTH - len(chunks[-1]))
    return [None if all(part is None for part in chunk) else chunk for chunk in chunks]


def _shift_for(size: int) -> int:
    shift = 0
    while size > WIDTH << shift:
        shift += BITS
    return shift


def _set(node: Any, shift: int, position: int, value: object) -> Any:
    copy = [None] * WIDTH if node is None else node.copy()
    place = (position >> shift) & _MASK
    copy[place] = _set(copy[place], shift - BITS, position, value) if shift else value
    return copy


def _cut(node: Any, shift: int, size: int) -> Any:
    """Return the node without what lies at `size` and beyond."""
    if node is None or size == WIDTH << shift:
        return node
    place = size >> shift
    copy = [*node[:place], *[None] * (WIDTH - place)]
    left = size - (place << shift)
    if shift and left:
        copy[place] = _cut(node[place], shift - BITS, left)
    return copy


def _items(node: Any, shift: int, start: int) -> Iterator[tuple[int, Any]]:
    if node is None:
        return
    for place, part in enumerate(node):
        if part is None:
            continue
        if shift:
            yield from _items(part, shift - BITS, start + (place << shift))
        else:
            yield start + place, part
