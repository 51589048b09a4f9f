"""Choice maps: the values of random choices, by address."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar, final, overload

from torch import Tensor

from gen_core.address import Address, Key, Path, PathPart, as_path, bare
from gen_core.address_errors import NoChoiceError
from gen_core.choicemap_addresses import addresses_of
from gen_core.choicemap_join import merge_under, override
from gen_core.choicemap_text import draw, one_line
from gen_core.choicemap_values import from_vector, same_value, to_vector
from gen_core.selection import ALL, NONE, Selection

T = TypeVar("T")
D = TypeVar("D")


class ChoiceMap(ABC):
    """An immutable tree of choices: one value (a leaf), or submaps by key (a branch), or empty.

    To write one, implement the four abstract members. `child` returns the very object `EMPTY`
    where there is nothing, which callers test with `is`; `child_keys` may list such a key too.
    Addresses of one part are given bare (`"slope"`), longer ones as tuples (`("y", 3)`).
    """

    __slots__ = ()

    @abstractmethod
    def child(self, key: PathPart, /) -> ChoiceMap:
        """Return the submap at one normalised key, `EMPTY` if there is none."""

    @abstractmethod
    def child_keys(self) -> Collection[PathPart]:
        """Return the keys of the submaps, in order."""

    @property
    @abstractmethod
    def is_leaf(self) -> bool:
        """Whether this is one value, at the empty address."""

    @property
    @abstractmethod
    def value(self) -> Any:
        """The value of a leaf.

        Raises:
            NoChoiceError: This is not a leaf.
        """

    @property
    def is_empty(self) -> bool:
        """Whether there is no choice."""
        return not self.is_leaf and all(self.child(key).is_empty for key in self.child_keys())

    @final
    def submap(self, address: Address | Key[Any], /) -> ChoiceMap:
        """Return the choices at and below `address`, relative to it; `EMPTY` if there are none."""
        choices: ChoiceMap = self
        for key in as_path(address):
            choices = choices.child(key)
        return choices

    @overload
    def __getitem__(self, address: Key[T], /) -> T: ...
    @overload
    def __getitem__(self, address: Address, /) -> Any: ...
    @final
    def __getitem__(self, address: Address | Key[Any], /) -> Any:
        """Return the value at `address`.

        Raises:
            NoChoiceError: There is none; names the nearest addresses.
        """
        found = self.submap(address)
        if found.is_leaf:
            return found.value
        raise NoChoiceError(as_path(address), self.paths())

    @overload
    def get(self, address: Key[T], default: None = None, /) -> T | None: ...
    @overload
    def get(self, address: Key[T], default: D, /) -> T | D: ...
    @overload
    def get(self, address: Address, default: object = None, /) -> Any: ...
    @final
    def get(self, address: Address | Key[Any], default: object = None, /) -> Any:
        """Return the value at `address`, or `default` if there is none."""
        found = self.submap(address)
        return found.value if found.is_leaf else default

    @final
    def __contains__(self, address: Address | Key[Any], /) -> bool:
        return self.submap(address).is_leaf

    @final
    def leaves(self) -> Iterator[tuple[Path, Any]]:
        """Yield each path and value, in order."""
        for path, node in _ends(self):
            if node.is_leaf:
                yield path, node.value
                continue
            for key in node.child_keys():
                yield from (((*path, key, *below), value) for below, value in node.child(key).leaves())

    @final
    def paths(self) -> list[Path]:
        """Return the addresses, always as tuples."""
        found: list[Path] = []
        for path, node in _ends(self):
            alike = node.paths_of_children()
            if alike is None:
                found.append(path)
            else:
                found += [(*path, key, *below) for key in node.child_keys() for below in alike]
        return found

    def paths_of_children(self) -> list[Path] | None:
        """Return the addresses below each key where all keys have the same, else None.

        Override it where that is known without looking at every key.
        """
        return None

    @final
    def items(self) -> list[tuple[Address, Any]]:
        """Return each address and its value."""
        return [(bare(path), value) for path, value in self.leaves()]

    @final
    def keys(self) -> list[Address]:
        """Return the addresses."""
        return [bare(path) for path, _ in self.leaves()]

    @final
    def values(self) -> list[Any]:
        """Return the values."""
        return [value for _, value in self.leaves()]

    @final
    def __iter__(self) -> Iterator[Address]:
        return iter(self.keys())

    @final
    def __len__(self) -> int:
        return sum(1 for _ in self.leaves())

    @final
    def __bool__(self) -> bool:
        return not self.is_empty

    @final
    def merge(self, other: ChoiceMap, /) -> ChoiceMap:
        """Return the choices of both, which must not touch each other.

        Raises:
            AddressCollisionError: Both have a value at one address, or one has a value at an
                address and the other one below it.
        """
        return merge_under(self, other)

    @final
    def override(self, other: ChoiceMap, /) -> ChoiceMap:
        """Return the choices of both, those of `other` where the two touch."""
        return override(self, other)

    @final
    def filter(self, selection: Selection, /) -> ChoiceMap:
        """Return the choices whose addresses are selected."""
        if selection is ALL:
            return self
        if selection is NONE:
            return EMPTY
        if self.is_leaf:
            return self if selection.selects_here else EMPTY
        return self.filtered(selection)

    def filtered(self, selection: Selection, /) -> ChoiceMap:
        """Return the same for a branch, key by key; override what knows that many keys are alike."""
        return branch((key, self.child(key).filter(selection.child(key))) for key in self.child_keys())

    @final
    def map(self, function: Callable[[Any], object], /) -> ChoiceMap:
        """Return the same addresses with `function` applied to each value."""
        if self.is_leaf:
            return Leaf(function(self.value))
        return branch((key, self.child(key).map(function)) for key in self.child_keys())

    def map_whole(self, function: Callable[[Any], object], /) -> ChoiceMap:
        """Return the same as `map`, of a function that may be applied to many rows of a tensor at once."""
        if self.is_leaf:
            return Leaf(function(self.value))
        return branch((key, self.child(key).map_whole(function)) for key in self.child_keys())

    def overridden(self, other: ChoiceMap, /) -> ChoiceMap | None:
        """Return these choices overridden by `other`, where that can be said of many keys at once."""
        return None

    def examples(self) -> list[Path]:
        """Return the addresses, of elements that are alike those of one."""
        if self.is_leaf:
            return [()]
        return [(key, *path) for key in self.child_keys() for path in self.child(key).examples()]

    @final
    def addresses(self) -> Selection:
        """Return the selection of these addresses and what is below them, where they exist."""
        return addresses_of(self)

    @final
    def to_vector(self) -> Tensor:
        """Return all values in one vector, differentiably.

        The order depends on the addresses only: indices before strings, indices by number,
        strings as sorted. Integers, booleans and other objects have no place in a vector.

        Returns:
            Shape `(n,)`, with `n` the number of elements of all values.

        Raises:
            NotFloatingPointError: A value is neither a floating point tensor nor a float.
        """
        return to_vector(self.leaves())

    @final
    def from_vector(self, vector: Tensor, /) -> ChoiceMap:
        """Return the choices that `to_vector` would turn into `vector`.

        Returns:
            Tensors with the addresses, shapes and dtypes of these choices. In place of a float,
            a tensor of shape `()` with the dtype of `vector`.

        Raises:
            NotFloatingPointError: As `to_vector`.
            VectorLengthError: `vector` has another shape than `to_vector()` has.
        """
        values = iter(from_vector(self.leaves(), vector))
        return self.map(lambda _: next(values)[1])

    @final
    def __eq__(self, other: object) -> bool:
        """Whether `other` has the same addresses, in any order, and equal values.

        Tensors are equal if shape, dtype, device and elements are, and to a Python number if
        `item()` is.
        """
        if not isinstance(other, ChoiceMap):
            return NotImplemented
        mine, others = dict(self.leaves()), dict(other.leaves())
        return mine.keys() == others.keys() and all(
            same_value(value, others[path]) for path, value in mine.items()
        )

    @final
    def __repr__(self) -> str:
        return one_line(self.leaves())

    @final
    def __str__(self) -> str:
        return draw(self)


@final
class Leaf(ChoiceMap):
    """One value, at the empty address."""

    __slots__ = ("_value",)

    is_leaf: Final = True
    is_empty: Final = False

    def __init__(self, value: object, /) -> None:
        self._value = value

    def child(self, key: PathPart, /) -> ChoiceMap:
        return EMPTY

    def child_keys(self) -> Collection[PathPart]:
        return ()

    @property
    def value(self) -> Any:
        return self._value


@final
class Branch(ChoiceMap):
    """Submaps by key. Use `branch` unless no child is empty and nobody changes the dict."""

    __slots__ = ("_children",)

    is_leaf: Final = False

    def __init__(self, children: Mapping[PathPart, ChoiceMap], /) -> None:
        self._children = children

    @property
    def is_empty(self) -> bool:
        """Whether there is no choice."""
        for child in self._children.values():  # noqa: SIM110  # without a generator: the first decides
            if not child.is_empty:
                return False
        return True

    def child(self, key: PathPart, /) -> ChoiceMap:
        return self._children.get(key, EMPTY)

    def child_keys(self) -> Collection[PathPart]:
        return self._children.keys()

    @property
    def value(self) -> Any:
        raise NoChoiceError((), self.paths())

    def __reduce__(self) -> str | tuple[object, ...]:
        if self is EMPTY:
            return "EMPTY"  # a copy must be this very object
        return Branch, (self._children,)


EMPTY: Final[ChoiceMap] = Branch({})
"""No choices."""


def branch(children: Iterable[tuple[PathPart, ChoiceMap]]) -> ChoiceMap:
    """Return the choice map with these submaps by key, of which empty ones vanish."""
    kept = {key: child for key, child in children if child is not EMPTY and not child.is_empty}
    return Branch(kept) if kept else EMPTY


def _ends(choices: ChoiceMap) -> Iterator[tuple[Path, ChoiceMap]]:
    """Yield the leaves, and the maps of which all children are alike."""
    if choices.is_leaf or choices.paths_of_children() is not None:
        yield (), choices
        return
    # A stack rather than recursion: models recurse deeper than Python's limit allows here.
    open_nodes: list[tuple[Path, ChoiceMap, Iterator[PathPart]]] = []
    open_nodes.append(((), choices, iter(choices.child_keys())))
    while open_nodes:
        path, node, keys = open_nodes[-1]
        for key in keys:
            child = node.child(key)
            if child.is_leaf or child.paths_of_children() is not None:
                yield (*path, key), child
            else:
                open_nodes.append(((*path, key), child, iter(child.child_keys())))
                break
        else:
            open_nodes.pop()
