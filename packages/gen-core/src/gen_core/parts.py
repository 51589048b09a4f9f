"""The parts of plain Python values: of tuples, lists, mappings and dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any


def children(value: Any) -> dict[Any, Any] | None:
    """Return the parts of a sequence, mapping or dataclass by key, None for anything else."""
    if isinstance(value, tuple | list) or is_persistent_sequence(value):
        return dict(enumerate(value))
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return None


def is_persistent_sequence(value: object) -> bool:
    """Return whether a value is a sequence that never changes; its class makes one of an iterable."""
    return getattr(type(value), "is_persistent", False) and isinstance(value, Sequence)
