"""The addresses that one run has visited, and who did, so that no two collide."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from gen_core import DuplicateAddressError

if TYPE_CHECKING:
    from gen_core import Path


@final
class Claims:
    """Addresses that are taken."""

    __slots__ = ("_above", "_places")

    def __init__(self) -> None:
        self._places: dict[Path, str] = {}
        self._above: set[Path] = set()

    def add(self, path: Path, place: str) -> None:
        """Take an address for a visit at `place`.

        Raises:
            DuplicateAddressError: It is taken, or one above or below it is; names both places.
        """
        if path in self._places:
            self._refuse(path, path, place)
        if path in self._above or not path:
            below = next((other for other in self._places if other[: len(path)] == path), path)
            self._refuse(path, below, place)
        for length in range(1, len(path)):
            above = path[:length]
            if above in self._places:
                self._refuse(path, above, place)
            self._above.add(above)
        self._places[path] = place

    def _refuse(self, path: Path, other: Path, place: str) -> None:
        before = self._places.get(other, place)
        both = place if before == place else f"{place}, after {before},"
        raise DuplicateAddressError(both, path, other)
