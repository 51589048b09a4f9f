"""torch's registry of pytrees, the only one that `vmap` and the compiler know; nobody else imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from torch.utils import _pytree


class Node(NamedTuple):
    """How values of one type are taken apart and put together again."""

    flatten: Callable[[Any], tuple[list[Any], Any]]
    """Return the children and a hashable rest."""
    unflatten: Callable[[Iterable[Any], Any], Any]
    """Make a value of children and a rest. The children may be anything: torch also maps trees."""


def register(kind: type[Any], node: Node) -> None:
    """Make values of exactly the type `kind` pytrees."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    _pytree.register_pytree_node(kind, node.flatten, node.unflatten, serialized_type_name=name)


def registered(kind: type[Any]) -> Node | None:
    """Return how values of exactly the type `kind` are taken apart, None if they are leaves."""
    found = _pytree.SUPPORTED_NODES.get(kind)
    return None if found is None else Node(found.flatten_fn, found.unflatten_fn)
