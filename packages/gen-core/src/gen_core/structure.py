"""Values taken apart into tensors and a structure that holds everything else.

A tensor that occurs many times in a value is taken once, and is one object again in the value that is
put together: comparisons of arguments go by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn

from gen_core.hookspecs import ValueCodec
from gen_core.plugins import plugins
from gen_core.torch_pytree import Node, registered


class Apart(NamedTuple):
    """A value taken apart: its tensors, each once, and the rest."""

    tensors: list[Any]
    structure: Structure


def take_apart(value: object, *, once: bool = True) -> Apart:
    """Take the tensors out of a value, through containers, dataclasses, traces and foreign types.

    Foreign types are those of the `gen_values` hook and of torch's pytree registry. What is none of
    these is opaque: it stays in the structure as it is, compared by identity, or by value if it is a
    number, a string or a generative function.

    Args:
        value: Anything.
        once: Whether a tensor that occurs many times is taken once; if not, values that differ in what
            they share still have one structure.
    """
    taking = _Taking(once)
    structure = taking.part(value)
    return Apart([part.value if isinstance(part, StandIn) else part for part in taking.tensors], structure)


def put_together(tensors: Sequence[Any], structure: Structure) -> Any:
    """Return the value with these tensors in their places.

    Anything may stand for a tensor, as torch does while it broadcasts `out_dims`; it is wrapped as a
    `StandIn`, so that it is taken again where a tensor would be.
    """
    return _put([part if isinstance(part, Tensor) else StandIn(part) for part in tensors], structure)


def within(tensors: Sequence[Any], structure: Structure) -> Apart:
    """Return a part of a value that was taken apart, `structure`, as if it had been taken apart alone."""
    index: dict[int, int] = {}

    def renumber(part: Structure) -> Structure:
        if isinstance(part, int):
            return index.setdefault(part, len(index))
        if isinstance(part, Opaque):
            return part
        return Inner(part.kind, part.rest, tuple([renumber(child) for child in part.parts]))

    own = renumber(structure)
    return Apart([tensors[position] for position in index], own)


def unflattener(structure: Inner) -> Callable[[Iterable[Any], Any], Any]:
    """Return what makes a value of this type of its parts and of `structure.rest.value`."""
    return _node(structure.kind).unflatten


def assemble(structure: Inner, parts: Sequence[Any]) -> Any:
    """Return the value of which these are the parts."""
    return _node(structure.kind).unflatten(parts, structure.rest.value)


def one_level(value: object) -> tuple[Inner | Opaque, list[Any]]:
    """Take a value apart into its own parts, which stay as they are; the structure's own are left out."""
    kind = type(value)
    node = None if kind in _IMMUTABLE else _node_of(kind)
    if node is None:
        return Opaque(value), []
    children, rest = node.flatten(value)
    return Inner(kind, Rest(rest), ()), list(children)


def takes_apart(kind: type[Any], node: Node, *, subclasses: bool = False) -> None:
    """Take values of exactly the type `kind` apart in this way, or those of unknown subclasses too."""
    (_bases if subclasses else _nodes)[kind] = node


def dataclass_state(value: Any) -> dict[str, Any]:
    """Return the attributes of a dataclass: fields, and what else was set, but no cached properties."""
    state = {part.name: getattr(value, part.name) for part in fields(value) if hasattr(value, part.name)}
    state |= getattr(value, "__dict__", {})
    kind = type(value)
    return {name: part for name, part in state.items() if not _is_cached(kind, name)}


def with_dataclass_state(kind: type[Any], state: Mapping[str, Any]) -> Any:
    """Return a dataclass with these attributes.

    Not by the constructor, which may check shapes or compute something from what it is given.
    """
    value = object.__new__(kind)
    for name, part in state.items():
        object.__setattr__(value, name, part)
    return value


@final
class StandIn:
    """Something in the place of a tensor."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Opaque:
    """Something that is not taken apart."""

    value: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Opaque):
            return NotImplemented
        if self.value is other.value:
            return True
        kind = type(self.value)
        return kind is type(other.value) and _compares(self.value) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value) if _compares(self.value) else id(self.value)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Rest:
    """What a type needs beside its parts: field names, keys."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rest) and bool(self.value == other.value)

    def __hash__(self) -> int:
        try:
            return hash(self.value)
        except TypeError:  # torch's own for dicts is a list
            return hash(type(self.value))


class Inner(NamedTuple):
    """A value with parts."""

    kind: type[Any]
    rest: Rest
    parts: tuple[Structure, ...]


Structure: TypeAlias = "int | Opaque | Inner"
"""An index into the tensors, something opaque, or a value with parts. Hashable, comparable by `==`."""


class _Taking:
    """The tensors taken so far."""

    def __init__(self, once: bool) -> None:
        self.tensors: list[Any] = []
        self._once = once
        self._index: dict[int, int] = {}

    def part(self, value: Any) -> Structure:
        """Return the structure of a value, taking its tensors."""
        kind = type(value)
        if kind is Tensor or kind is StandIn:
            return self._take(value)
        if kind in _IMMUTABLE:
            return Opaque(value)
        node = _nodes.get(kind)
        if node is None:
            if isinstance(value, Tensor):
                return self._take(value)
            node = _node_of(kind)
            if node is None:
                return Opaque(value)
        children, rest = node.flatten(value)
        return Inner(kind, Rest(rest), tuple([self.part(child) for child in children]))

    def _take(self, tensor: Tensor | StandIn) -> int:
        index = self._index.get(id(tensor))
        if index is None or not self._once:
            index = self._index[id(tensor)] = len(self.tensors)
            self.tensors.append(tensor)
        return index


def _put(tensors: Sequence[Any], structure: Structure) -> Any:
    if isinstance(structure, int):
        return tensors[structure]
    if isinstance(structure, Opaque):
        return structure.value
    return assemble(structure, [_put(tensors, part) for part in structure.parts])


def _node_of(kind: type[Any]) -> Node | None:
    node = _nodes.get(kind) or _found.get(kind)
    if node is None and kind not in _opaque:
        node = _find(kind)
        if node is not None:
            _found[kind] = node
        elif getattr(kind, "is_generative_function", False):
            _opaque.add(kind)  # others may still be registered
    return node


def _node(kind: type[Any]) -> Node:
    node = _node_of(kind)
    if node is None:
        raise TypeError(f"{kind.__qualname__} cannot be put together: its plugin is gone.")
    return node


def _find(kind: type[Any]) -> Node | None:
    for ancestor in kind.__mro__:
        codec = plugins.values.get(ancestor)
        if codec is not None:
            return _codec_node(codec)
    node = registered(kind) or next((_bases[base] for base in kind.__mro__ if base in _bases), None)
    if node is not None:
        return node
    if issubclass(kind, tuple):
        return _tuple_node(kind)
    return _dataclass_node(kind) if is_dataclass(kind) and not issubclass(kind, nn.Module) else None


def _codec_node(codec: ValueCodec) -> Node:
    return Node(codec.flatten, lambda parts, rest: codec.unflatten(list(parts), rest))


def _tuple_node(kind: type[Any]) -> Node | None:
    if hasattr(kind, "_fields"):
        return Node(lambda value: (list(value), None), lambda parts, rest: kind(*parts))
    if hasattr(kind, "n_sequence_fields"):  # what torch.max and the like return
        return Node(lambda value: (list(value), None), lambda parts, rest: kind(tuple(parts)))
    return None


def _dataclass_node(kind: type[Any]) -> Node:
    def flatten(value: Any) -> tuple[list[Any], Any]:
        state = dataclass_state(value)
        return list(state.values()), tuple(state)

    def unflatten(parts: Iterable[Any], names: Any) -> Any:
        return with_dataclass_state(kind, dict(zip(names, parts, strict=True)))

    return Node(flatten, unflatten)


def _is_cached(kind: type[Any], name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)


def _compares(value: object) -> bool:
    return type(value) in _IMMUTABLE or isinstance(value, str | np.generic) or _is_generative(value)


def _is_generative(value: object) -> bool:
    return getattr(type(value), "is_generative_function", False)


_IMMUTABLE = frozenset(
    {int, float, bool, str, bytes, complex, type(None), torch.dtype, torch.device, torch.Size, range}
)

_nodes: dict[type[Any], Node] = {
    tuple: Node(lambda value: (list(value), None), lambda parts, rest: tuple(parts)),
    list: Node(lambda value: (value, None), lambda parts, rest: list(parts)),
    dict: Node(
        lambda value: (list(value.values()), tuple(value)),
        lambda parts, keys: dict(zip(keys, parts, strict=True)),
    ),
    MappingProxyType: Node(
        lambda value: (list(value.values()), tuple(value)),
        lambda parts, keys: MappingProxyType(dict(zip(keys, parts, strict=True))),
    ),
}
_bases: dict[type[Any], Node] = {}
_found: dict[type[Any], Node] = {}
_opaque: set[type[Any]] = set()
plugins.on_change(_found.clear)
plugins.on_change(_opaque.clear)
