"""The leaves of arguments and return values: in tuples, lists, mappings and dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias

from torch import Tensor

from gen_core.parts import children, is_persistent_sequence

Place: TypeAlias = tuple[Any, ...]
"""The keys, indices and field names that lead to a leaf."""


def places(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield every leaf with its place."""
    parts = children(value)
    if parts is None:
        yield place, value
        return
    for key, part in parts.items():
        yield from places(part, (*place, key))


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors in a value."""
    return [leaf for _, leaf in places(value) if isinstance(leaf, Tensor)]


def mapped(value: Any, function: Callable[[Place, Any], Any], place: Place = ()) -> Any:
    """Return the same structure with `function(place, leaf)` for each leaf."""
    parts = children(value)
    if parts is None:
        return function(place, value)
    new = {key: mapped(part, function, (*place, key)) for key, part in parts.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*new.values())
    if isinstance(value, tuple | list) or is_persistent_sequence(value):
        return type(value)(new.values())
    if isinstance(value, Mapping):
        return new
    return replace(value, **{part.name: new[part.name] for part in fields(value) if part.init})
