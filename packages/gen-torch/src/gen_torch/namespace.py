"""Namespaces: the `nn.Module`s that hold a model's modules and parameters under readable names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from gen_torch.redirected import Redirected, Slot


class Namespace(nn.Module):
    """Modules and parameters under one prefix: those of a function, or of a list that holds some.

    A name that is taken gets a suffix: `net`, `net_2`, `net_3`. Children are added to a copy of the
    dict, so that another thread may iterate over them.
    """

    def __init__(self, parameters: dict[str, nn.Parameter] | None = None) -> None:
        """Make a namespace whose parameters are, among others, those of a dict kept elsewhere."""
        super().__init__()
        self.shares_parameters = parameters is not None
        self.__dict__["_parameters"] = Redirected({} if parameters is None else parameters)
        self.__dict__["_buffers"] = Redirected[Tensor]({})

    def add_child(self, name: str, child: nn.Module) -> None:
        """Add a child, under `name` if it is free."""
        self._set_children({**self._modules, self._free(name): child})

    def remove_child(self, child: nn.Module) -> None:
        """Take a child out."""
        self._set_children({name: other for name, other in self._modules.items() if other is not child})

    def add_parameter(self, name: str, slot: Slot) -> None:
        """Show the parameter in a slot."""
        self._redirected("_parameters").slots[self._free(name)] = slot

    def add_buffer(self, name: str, slot: Slot, *, persistent: bool) -> None:
        """Show the buffer in a slot."""
        name = self._free(name)
        self._redirected("_buffers").slots[name] = slot
        if not persistent:
            self._non_persistent_buffers_set.add(name)

    def entered(self, name: str) -> Namespace:
        """Return the namespace of a container called `name`, making it if it is not there."""
        for candidate in _candidates(name):
            child = self._modules.get(candidate)
            if isinstance(child, Namespace) and not child.shares_parameters:
                return child
            if not hasattr(self, candidate):
                break
        child = Namespace()
        self.add_child(name, child)
        return child

    def prune(self) -> None:
        """Take out the namespaces of containers that have nothing left."""
        for child in list(self._modules.values()):
            if isinstance(child, Namespace):
                child.prune()
                if not (child.shares_parameters or child._modules or child._parameters or child._buffers):
                    self.remove_child(child)

    def make_way(self) -> None:
        """Give another name to children whose name a new parameter has taken."""
        for name, child in list(self._modules.items()):
            if child is not None and name in self._parameters:
                self.remove_child(child)
                self.add_child(name, child)

    def _free(self, name: str) -> str:
        return next(candidate for candidate in _candidates(name) if not hasattr(self, candidate))

    def _redirected(self, table: str) -> Redirected[Any]:
        found: Redirected[Any] = self.__dict__[table]
        return found

    def _set_children(self, children: dict[str, nn.Module | None]) -> None:
        self.__dict__["_modules"] = children


def _candidates(name: str) -> Iterator[str]:
    name = name.replace(".", "_") or "_"  # A dot separates prefixes.
    return itertools.chain([name], (f"{name}_{i}" for i in itertools.count(2)))
