"""Extension points: what a plugin may implement, found through the entry-point group `gen`.

    [project.entry-points.gen]
    my_plugin = "my_package.plugin"

and in `my_package/plugin.py`

    @implements(gen_distributions)
    def distributions() -> Mapping[str, Distribution[..., Any]]:
        from my_package import my_distribution

        return {"my_distribution": my_distribution}

Hooks are called once and fill tables; none is called while models run. Import inside the functions, so
that discovering plugins stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

import pluggy

if TYPE_CHECKING:
    from gen_core.distribution import Distribution
    from gen_core.interface import GenerativeFunction

P = ParamSpec("P")
R = TypeVar("R")

PROJECT = "gen"

hookspec = pluggy.HookspecMarker(PROJECT)
_hookimpl = pluggy.HookimplMarker(PROJECT)

Runtime: TypeAlias = "Callable[[GenerativeFunction[..., Any]], AbstractContextManager[Any]]"
"""Entered with the function that runs when an outermost run begins, left when it ends."""


class ValueCodec(NamedTuple):
    """How values of one foreign type are taken apart and put together again."""

    flatten: Callable[[Any], tuple[list[Any], Any]]
    """Return the children (tensors or further values) and a hashable rest."""
    unflatten: Callable[[list[Any], Any], Any]
    to_state: Callable[[Any], object]
    """Return plain data: tensors, numbers, strings, None, lists, tuples, dicts."""
    from_state: Callable[[Any], Any]


@hookspec
def gen_distributions() -> Mapping[str, Distribution[..., Any]]:
    """Return distributions by name: for lookup by name, loading saved traces, listing."""
    raise NotImplementedError


@hookspec
def gen_combinators() -> Mapping[str, Callable[..., GenerativeFunction[..., Any]]]:
    """Return factories of generative functions by name."""
    raise NotImplementedError


@hookspec
def gen_edits() -> Mapping[tuple[type[Any], str], Callable[..., Any]]:
    """Return implementations by (generative function type, operation).

    They supply or replace a room for a type that somebody else wrote: the operation is the name of a
    room without `do_`, such as `"regenerate"`, and the implementation takes the generative function
    and then what the room takes. The most specific type wins.
    """
    raise NotImplementedError


@hookspec
def gen_runtimes() -> list[Runtime]:
    """Return what to enter with each outermost run of a body, and to leave when it ends."""
    raise NotImplementedError


@hookspec
def gen_values() -> Mapping[type[Any], ValueCodec]:
    """Return how values of foreign types are batched, staged and saved."""
    raise NotImplementedError


def implements(spec: Callable[P, R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as the implementation of the hook `spec`, and check its type.

    pluggy's own marker takes any signature; with this one, type checkers compare it.
    """

    def mark(implementation: Callable[P, R]) -> Callable[P, R]:
        return _hookimpl(implementation, specname=spec.__name__)

    return mark
