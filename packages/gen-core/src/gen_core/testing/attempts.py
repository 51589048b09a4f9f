"""What the laws try on a trace: selections and constraints made of the trace's own addresses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING

from gen_core.address import Path
from gen_core.selection import ALL, NONE, Selection
from gen_core.selection_build import ANY, select, where

if TYPE_CHECKING:
    from gen_core.choicemap import ChoiceMap

MAX_SINGLES = 4
NUM_SUBSETS = 2


def exactly(paths: Collection[Path]) -> Selection:
    """Select these addresses, and unlike `select` not what is below them."""
    known = frozenset(paths)
    return where(lambda path: path in known)


def clash(given: ChoiceMap, choices: ChoiceMap) -> bool:
    """Return whether constraints have a value where a function was called, or a submap at a choice.

    That is a mistake of the user, and what a room makes of it is not specified.
    """
    return any(
        not at.is_empty and not at.is_leaf for at in (choices.submap(path) for path in given.paths())
    ) or any(not at.is_empty and not at.is_leaf for at in (given.submap(path) for path in choices.paths()))


def selections(paths: Sequence[Path], random: Random) -> list[Selection]:
    """Return selections over `paths`, of every kind that users write, no two alike."""
    found: dict[tuple[type, frozenset[Path]], Selection] = {}
    for selection in _selections(list(paths), random):
        selected = frozenset(path for path in paths if path in selection)
        found.setdefault((type(selection), selected), selection)
    return list(found.values())


def constraints(choices: ChoiceMap, random: Random) -> list[ChoiceMap]:
    """Return parts of `choices` to constrain: none, all, single ones, subsets; no two alike."""
    found: dict[frozenset[Path], ChoiceMap] = {}
    for selection in _selections(choices.paths(), random):
        part = choices.filter(selection)
        found.setdefault(frozenset(part.paths()), part)
    return list(found.values())


def _selections(paths: list[Path], random: Random) -> Iterator[Selection]:
    yield NONE
    yield ALL
    for path in random.sample(paths, min(MAX_SINGLES, len(paths))):
        yield select(path)
        if len(path) > 1:
            prefix = path[: random.randrange(1, len(path))]
            yield select(prefix)
            yield select((*prefix, *[ANY] * (len(path) - len(prefix))))
            yield ~select((ANY, *path[1:]))
    if len(paths) > 1:
        for _ in range(NUM_SUBSETS):
            subset = random.sample(paths, random.randrange(1, len(paths)))
            yield select(*subset)
            yield ~select(*subset)
            yield exactly(subset)
    yield where(lambda path: len(repr(path)) % 2 == 0)
