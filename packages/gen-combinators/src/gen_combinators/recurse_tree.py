"""The nodes of a tree that Recurse grows: their numbers, and what is recorded of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from gen_combinators.errors import ProductionError, TooManyChildrenError
from gen_core import ParameterError
from gen_core.where import annotate, annotate_address

if TYPE_CHECKING:
    from gen_combinators.recurse import Recurse
    from gen_core import Path, Trace

P = ParamSpec("P")
R = TypeVar("R")

PRODUCTION = "production"
AGGREGATION = "aggregation"


class Node(NamedTuple):
    """The traces of the two kernels at one node."""

    production: Trace[Any]
    aggregation: Trace[Any]

    def kernels(self) -> Iterator[tuple[str, Trace[Any]]]:
        """Yield the two traces with the parts of their addresses."""
        yield PRODUCTION, self.production
        yield AGGREGATION, self.aggregation


def child_of(node: int, position: int, max_branch: int) -> int:
    """Return the number of a child. Numbers grow from level to level, and from left to right."""
    return node * max_branch + 1 + position


def parent_of(node: int, max_branch: int) -> int:
    """Return the number of the parent of a node that is not 0."""
    return (node - 1) // max_branch


def produced(gen_fn: Recurse[Any, Any], node: int, production: Trace[Any]) -> tuple[Any, Sequence[Any]]:
    """Return the value of a node and the inputs of its children.

    Raises:
        ProductionError: The production kernel returned something else.
        TooManyChildrenError: There are more than `max_branch`.
    """
    pair = production.retval
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[1], Sequence):
        raise ProductionError(gen_fn.name, production.gen_fn.name, node, pair)
    value, children = pair
    if len(children) > gen_fn.max_branch:
        raise TooManyChildrenError(gen_fn.name, node, len(children), gen_fn.max_branch)
    return value, children


def enter(
    gen_fn: Recurse[Any, Any], path: Path, room: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Enter a room of a kernel; an error notes at which address it was raised."""
    try:
        return room(*args, **kwargs)
    except BaseException as error:
        if isinstance(error, ParameterError):
            error.locate(path, gen_fn.name)
        annotate_address(error, path)
        annotate(error, gen_fn, gen_fn)
        raise
