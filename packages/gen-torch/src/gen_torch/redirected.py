"""A mapping whose items are kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple, TypeVar, final

T = TypeVar("T")


class Slot(NamedTuple):
    """Where a tensor is kept: in a model's `nn.Module`, an object's attributes, ..."""

    owner: MutableMapping[str, Any]
    name: str


@final
class Redirected(MutableMapping[str, T]):
    """A store, and slots of other mappings beside it, as one mapping.

    A namespace's parameters and buffers are one of these: what torch puts here, in `.to()` or
    `functional_call`, it puts where the body of the model reads it.
    """

    def __init__(self, store: dict[str, T]) -> None:
        self.store = store
        self.slots: dict[str, Slot] = {}

    def __getitem__(self, name: str) -> T:
        if name in self.store or name not in self.slots:
            return self.store[name]
        slot = self.slots[name]
        value: T = slot.owner[slot.name]
        return value

    def __setitem__(self, name: str, value: T) -> None:
        if name in self.store or name not in self.slots:
            self.store[name] = value
        else:
            slot = self.slots[name]
            slot.owner[slot.name] = value

    def __delitem__(self, name: str) -> None:
        if name in self.store or name not in self.slots:
            del self.store[name]
        else:
            del self.slots[name]

    def __iter__(self) -> Iterator[str]:
        # Copies: another thread may be making a parameter.
        slots = [name for name, slot in list(self.slots.items()) if slot.name in slot.owner]
        return iter(dict.fromkeys([*self.store, *slots]))

    def __len__(self) -> int:
        return len(list(iter(self)))
