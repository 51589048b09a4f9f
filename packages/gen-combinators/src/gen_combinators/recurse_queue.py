"""A queue of nodes in the order of their numbers."""

from __future__ import annotations

import heapq
from typing import Any, final


@final
class NodeQueue:
    """Nodes that wait, each once, with something to say of each; the smallest comes first, or the largest."""

    def __init__(self, *, descending: bool = False) -> None:
        """Make an empty queue."""
        self._sign = -1 if descending else 1
        self._waiting: dict[int, Any] = {}
        self._order: list[int] = []  # a heap; may hold nodes that do not wait any more

    def push(self, node: int, word: Any = None) -> None:
        """Let a node wait, or say something else of one that waits."""
        if node not in self._waiting:
            heapq.heappush(self._order, self._sign * node)
        self._waiting[node] = word

    def discard(self, node: int) -> None:
        """Let a node go, if it waits."""
        self._waiting.pop(node, None)

    def pop(self) -> tuple[int, Any]:
        """Take the next node out, and return it with what was said of it."""
        while True:
            node = self._sign * heapq.heappop(self._order)
            if node in self._waiting:
                return node, self._waiting.pop(node)

    def __contains__(self, node: int) -> bool:
        return node in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)
