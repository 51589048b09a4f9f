"""What elements show: their choices and return values, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from gen_combinators.elements_merge import Row
from gen_combinators.step_rows import Step
from gen_combinators.vector import Vector
from gen_core.address_errors import NoChoiceError
from gen_core.choicemap import EMPTY, ChoiceMap
from gen_core.choicemap_rows import Rows
from gen_core.columns import Columns
from gen_core.pytree import register_choices

if TYPE_CHECKING:
    from gen_combinators.elements import Elements
    from gen_core import Path
    from gen_core.address import PathPart


@final
class ElementChoices(ChoiceMap):
    """The choices of elements by index."""

    __slots__ = ("elements",)

    is_leaf = False

    def __init__(self, elements: Elements[Any]) -> None:
        self.elements = elements

    def child(self, key: PathPart, /) -> ChoiceMap:
        if not isinstance(key, int) or not 0 <= key < len(self.elements):
            return EMPTY
        choices = self.elements[key].choices
        return EMPTY if choices.is_empty else choices

    def child_keys(self) -> range:
        return range(len(self.elements))

    @property
    def value(self) -> Any:
        raise NoChoiceError((), self.paths())


@final
class Retvals:
    """What the elements returned."""

    def __init__(self, elements: Elements[Any]) -> None:
        self._elements = elements
        self._base: Columns | None = None

    def __len__(self) -> int:
        return len(self._elements)

    def value(self, index: int, /) -> Any:
        entry = self._elements.entry(index)
        if entry is None:
            return self._base_retvals().row(index)
        return (entry.trace() if isinstance(entry, Row | Step) else entry).retval

    def columns(self) -> Columns | None:
        found = self.held()
        return Vector(self).source.columns() if found is None else found

    def held(self) -> Columns | None:
        found = self._elements.columns()
        return None if found is None else found.part(found.whole.retval)

    def __iter__(self) -> Iterator[Any]:
        return (self.value(i) for i in range(len(self)))

    def _base_retvals(self) -> Columns:
        if self._base is None:
            base = self._elements.base
            assert base is not None
            self._base = base.part(base.whole.retval)
        return self._base


def in_rows(choices: ChoiceMap) -> ChoiceMap:
    """Return the choices of elements as rows, where they are such and have a common structure."""
    columns = choices.elements.columns() if type(choices) is ElementChoices else None
    return choices if columns is None else Rows.of(columns.part(columns.whole.choices))


def unvisited(elements: Elements[Any], constraints: ChoiceMap) -> list[Path]:
    """Return the paths of constraints that were not used; alike elements are asked once."""
    constraints = in_rows(constraints)
    left: list[Path] = []
    if constraints.is_leaf:
        return [()]
    known: dict[tuple[Path, ...], list[Path]] = {}
    keys = constraints.child_keys()
    if type(constraints) is Rows and elements.base is not None and not elements.num_edited:
        key = next(iter(keys))
        if not (_has(elements, key) and elements[key].unvisited(constraints.child(key))):  # type: ignore[index]
            keys = [key for key in keys if not _has(elements, key)]
    for key in keys:
        below = constraints.child(key)
        if below is EMPTY:
            continue
        if not _has(elements, key):
            left += [(key, *path) for path in below.paths()]
            continue
        index: Any = key
        if elements.entry(index) is not None:
            found = elements[index].unvisited(below)
        else:
            alike = tuple(below.paths())
            if alike not in known:
                known[alike] = elements[index].unvisited(below)
            found = known[alike]
        left += [(key, *path) for path in found]
    return left


def _has(elements: Elements[Any], key: PathPart) -> bool:
    return isinstance(key, int) and 0 <= key < len(elements)


register_choices(ElementChoices)
