"""Two choice maps made one: by merging, which refuses a collision, or by overriding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gen_core.address import Path, PathPart
from gen_core.address_errors import AddressCollisionError

if TYPE_CHECKING:
    from gen_core.choicemap import ChoiceMap


def merge_under(left: ChoiceMap, right: ChoiceMap, prefix: Path = ()) -> ChoiceMap:
    """Return the choices of both; `prefix` is where they lie, for the message of a collision."""
    return _join(left, right, prefix, _collide)


def override(left: ChoiceMap, right: ChoiceMap) -> ChoiceMap:
    """Return the choices of both, those of `right` where the two touch."""
    return _join(left, right, (), _replace)


def children_of(choices: ChoiceMap) -> dict[PathPart, ChoiceMap]:
    """Return a new dict of the submaps that are not empty."""
    children = ((key, choices.child(key)) for key in choices.child_keys())
    return {key: child for key, child in children if not child.is_empty}


def _replace(path: Path, left: ChoiceMap, right: ChoiceMap) -> ChoiceMap:
    return right


def _collide(path: Path, left: ChoiceMap, right: ChoiceMap) -> ChoiceMap:
    if left.is_leaf and right.is_leaf:
        raise AddressCollisionError(path)
    longer = right if left.is_leaf else left
    raise AddressCollisionError(path, path + longer.paths()[0])


def _join(
    left: ChoiceMap,
    right: ChoiceMap,
    path: Path,
    touch: Callable[[Path, ChoiceMap, ChoiceMap], ChoiceMap],
) -> ChoiceMap:
    if right.is_empty:
        return left
    if left.is_empty:
        return right
    if left.is_leaf or right.is_leaf:
        return touch(path, left, right)
    whole = left.overridden(right) if touch is _replace else None
    if whole is not None:
        return whole
    children = children_of(left)
    for key, new in children_of(right).items():
        old = children.get(key)
        children[key] = new if old is None else _join(old, new, (*path, key), touch)
    # Choice maps merge and override, so they import this module.
    from gen_core.choicemap import Branch

    return Branch(children)
