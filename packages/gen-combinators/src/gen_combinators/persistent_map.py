"""Persistent maps: immutable mappings whose edits share all but a few small parts with the old one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, final

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BITS = 5
"""Each level of the trie looks at so many bits of a key's hash."""
LEVELS = 13
"""So many levels use up a hash of 64 bits; below them, slots are the keys themselves."""


@final
class PersistentMap(Mapping[K, V]):
    """An immutable mapping; `with_item` and `without` return edited ones in O(log n).

    A hash array mapped trie. Source: Bagwell, Ideal Hash Trees (2001).
    """

    __slots__ = ("_root", "_size")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        """Make a mapping of pairs; of two with one key, the last stays."""
        self._root: _Node = {}
        self._size = 0
        for key, value in items:
            self._size += _insert(self._root, (key, value), hash(key), 0)

    def with_item(self, key: K, value: V) -> PersistentMap[K, V]:
        """Return this mapping with a value at `key`, in place of one that is there."""
        size = self._size + (key not in self)
        return _made(_with(self._root, (key, value), hash(key), 0), size)

    def without(self, key: K) -> PersistentMap[K, V]:
        """Return this mapping without `key`.

        Raises:
            KeyError: It is not there.
        """
        if key not in self:
            raise KeyError(key)
        return _made(_without(self._root, key, hash(key), 0), self._size - 1)

    def __getitem__(self, key: K) -> V:
        entry = self._entry(key)
        if entry is None:
            raise KeyError(key)
        value: V = entry[1]
        return value

    def __contains__(self, key: object) -> bool:
        return self._entry(key) is not None

    def __iter__(self) -> Iterator[K]:
        waiting = [self._root]
        while waiting:
            for found in waiting.pop().values():
                if type(found) is dict:
                    waiting.append(found)
                else:
                    yield found[0]

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"PersistentMap({list(self.items())!r})"

    def _entry(self, key: object) -> Any:
        node, code, level = self._root, hash(key), 0
        while True:
            found = node.get(_slot(key, code, level))
            if type(found) is not dict:
                return found if found is not None and found[0] == key else None
            node, level = found, level + 1


_Node: TypeAlias = dict[Any, Any]
"""By slot: an entry (key, value); or where several keys share the slot, a node of the next level."""


def _slot(key: object, code: int, level: int) -> object:
    return (code >> BITS * level) & (2**BITS - 1) if level < LEVELS else key


def _made(root: _Node, size: int) -> PersistentMap[Any, Any]:
    edited: PersistentMap[Any, Any] = PersistentMap()
    edited._root = root
    edited._size = size
    return edited


def _with(node: _Node, entry: tuple[Any, Any], code: int, level: int) -> _Node:
    slot = _slot(entry[0], code, level)
    found = node.get(slot)
    if type(found) is dict:
        return {**node, slot: _with(found, entry, code, level + 1)}
    if found is None or found[0] == entry[0]:
        return {**node, slot: entry}
    return {**node, slot: _pair(found, entry, code, level + 1)}


def _insert(node: _Node, entry: tuple[Any, Any], code: int, level: int) -> int:
    """Put an entry into a node that nobody else has; return how many keys that adds."""
    slot = _slot(entry[0], code, level)
    found = node.get(slot)
    if type(found) is dict:
        return _insert(found, entry, code, level + 1)
    if found is None or found[0] == entry[0]:
        node[slot] = entry
        return int(found is None)
    node[slot] = _pair(found, entry, code, level + 1)
    return 1


def _pair(one: tuple[Any, Any], other: tuple[Any, Any], code: int, level: int) -> _Node:
    """Return a node of two entries whose keys differ."""
    return _with({_slot(one[0], hash(one[0]), level): one}, other, code, level)


def _without(node: _Node, key: object, code: int, level: int) -> _Node:
    slot = _slot(key, code, level)
    edited = dict(node)
    found = edited.pop(slot)
    if type(found) is dict:
        below = _without(found, key, code, level + 1)
        (first, *rest) = below.values()
        # A key alone goes up, so that equal mappings look alike.
        edited[slot] = below if rest or type(first) is dict else first
    return edited
