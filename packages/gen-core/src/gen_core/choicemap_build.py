"""Choices as users write them, a dict by address, turned into choice maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar, runtime_checkable

from torch import Tensor

from gen_core.address import Address, Key, Path, PathPart, as_path
from gen_core.address_errors import AddressCollisionError, ChoicesError
from gen_core.choicemap import EMPTY, Branch, ChoiceMap, Leaf
from gen_core.choicemap_join import children_of, merge_under

K_co = TypeVar("K_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)


@runtime_checkable
class SupportsItems(Protocol[K_co, V_co]):
    """A dict, as far as choices are concerned: unlike a dict's, its key type is covariant."""

    def items(self) -> Iterable[tuple[K_co, V_co]]:
        """Return pairs of key and value."""
        ...


Choices: TypeAlias = ChoiceMap | SupportsItems[Address | Key[Any], object]
"""What is taken wherever choices are: a choice map or a dict by address, nested or not."""


def choicemap(choices: Choices | None = None, /) -> ChoiceMap:
    """Build a choice map.

    Args:
        choices: A dict by address. Dicts and choice maps among its values are submaps. A choice
            map is returned as it is.

    >>> choicemap({"slope": 1.0, ("y", 0): 2.0, "sub": {"x": 3.0}})

    Raises:
        AddressCollisionError: Two values have one address, or one is below another.
        AddressError: A key of the dict is not an address.
        ChoicesError: `choices` is neither a choice map nor a dict.
    """
    # Nearly every argument is a dict, and a check against a protocol takes microseconds.
    if type(choices) is dict:
        return _build(choices, ())
    if choices is None:
        return EMPTY
    if isinstance(choices, ChoiceMap):
        return choices
    if not isinstance(choices, SupportsItems):
        raise ChoicesError(choices)
    return _build(choices, ())


def from_paths(pairs: Iterable[tuple[Path, object]]) -> ChoiceMap:
    """Return the choice map with these values, without a check: no path may begin another."""
    tree: _Tree = {}
    for path, value in pairs:
        if not path:
            return Leaf(value)
        _place(tree, path, Leaf(value))
    return _freeze(tree)


def graft(pairs: Iterable[tuple[Path, ChoiceMap]]) -> ChoiceMap:
    """Return the choice map with these submaps, without a check: no path may begin another."""
    if type(pairs) is list and len(pairs) <= 1:  # as after most edits
        return under(*pairs[0]) if pairs else EMPTY
    tree: _Tree = {}
    for path, choices in pairs:
        if choices is EMPTY or choices.is_empty:
            continue
        if not path:
            return choices
        _place(tree, path, choices)
    return _freeze(tree)


def under(path: Path, choices: ChoiceMap) -> ChoiceMap:
    """Return the choice map that has `choices` below a path, and nothing else."""
    if choices.is_empty:
        return EMPTY
    for key in reversed(path):
        choices = Branch({key: choices})
    return choices


_Tree: TypeAlias = "dict[PathPart, ChoiceMap | _Tree]"

_PLAIN: Final = frozenset({float, int, bool, str, Tensor})


def _build(given: SupportsItems[Address | Key[Any], object], prefix: Path) -> ChoiceMap:
    if type(given) is dict and len(given) == 1:
        ((address, value),) = given.items()
        return _build_one(as_path(address), value, prefix)
    tree: _Tree = {}
    root: ChoiceMap = EMPTY
    for address, value in given.items():
        path = as_path(address)
        choices = Leaf(value) if type(value) in _PLAIN else _submap(value, prefix + path)
        if not path:
            root = merge_under(root, choices, prefix)
        elif choices is EMPTY:
            continue
        elif len(path) == 1 and path[0] not in tree:
            tree[path[0]] = choices
        else:
            _insert(tree, path, choices, prefix)
    frozen = _freeze(tree)
    return frozen if root is EMPTY else merge_under(root, frozen, prefix)


def _build_one(path: Path, value: object, prefix: Path) -> ChoiceMap:
    """Do the same for one address, as most edits give it: nothing can collide."""
    return under(path, Leaf(value) if type(value) in _PLAIN else _submap(value, prefix + path))


def _submap(value: object, path: Path) -> ChoiceMap:
    if isinstance(value, ChoiceMap):
        return EMPTY if value.is_empty else value
    return _build(value, path) if isinstance(value, Mapping) else Leaf(value)


def _place(tree: _Tree, path: Path, choices: ChoiceMap) -> None:
    node: Any = tree
    for key in path[:-1]:
        below = node.get(key)
        if below is None:
            below = node[key] = {}
        node = below
    node[path[-1]] = choices


def _insert(tree: _Tree, path: Path, choices: ChoiceMap, prefix: Path) -> None:
    node = tree
    for depth, key in enumerate(path[:-1], start=1):
        below = node.get(key)
        if below is None:
            below = node[key] = {}
        elif not isinstance(below, dict):
            if below.is_leaf:
                first = path[depth:] + choices.paths()[0]
                raise AddressCollisionError(prefix + path[:depth], prefix + path[:depth] + first)
            # A submap that was given whole is opened one level, for the new choice to go below.
            below = node[key] = dict(children_of(below))
        node = below
    old = node.get(path[-1])
    if old is not None:
        old = old if isinstance(old, ChoiceMap) else _freeze(old)
        choices = merge_under(old, choices, prefix + path)
    node[path[-1]] = choices


def _freeze(tree: _Tree) -> ChoiceMap:
    if not tree:
        return EMPTY
    for key, below in tree.items():
        if type(below) is dict:
            tree[key] = _freeze(below)
    frozen: Any = tree
    return Branch(frozen)
