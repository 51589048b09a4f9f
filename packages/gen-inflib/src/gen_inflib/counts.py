"""Checks of how many."""

from __future__ import annotations

from operator import index

from gen_inflib.errors import CountError


def check_count(name: str, given: int, *, least: int = 1) -> None:
    """Raise CountError unless `given` is an integer of at least `least`."""
    try:
        is_enough = index(given) >= least
    except TypeError:
        is_enough = False
    if not is_enough:
        raise CountError(name, least, given)
