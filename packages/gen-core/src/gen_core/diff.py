"""Change hints: what is known about how a value differs from the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeAlias, final

from torch import Tensor


class Diff:
    """How a value differs from an earlier one. Every function accepts UNCHANGED and UNKNOWN."""

    __slots__ = ()


@final
class _Unchanged(Diff):
    __slots__ = ()

    def __repr__(self) -> str:
        return "UNCHANGED"

    def __reduce__(self) -> str:
        return "UNCHANGED"


@final
class _Unknown(Diff):
    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNCHANGED: Diff = _Unchanged()
"""The value is the same as before."""
UNKNOWN: Diff = _Unknown()
"""Nothing is known: the value may have changed in any way."""


@final
@dataclass(frozen=True, slots=True)
class IntDiff(Diff):
    """An integer moved by `difference`."""

    difference: int


@final
@dataclass(frozen=True, slots=True)
class VectorDiff(Diff):
    """A sequence changed its length, or some of its elements.

    Elements that exist before and after and are not in `updated` are unchanged.
    """

    new_length: int
    old_length: int
    updated: Mapping[int, Diff] = field(default_factory=dict[int, Diff])


ArgDiffs: TypeAlias = tuple[Diff, ...]
"""One hint an argument, in the order of `Call.values()`."""

Compare: TypeAlias = Callable[[Any, Any, int], Diff]

_SCALARS = frozenset({int, float, bool, str, type(None), complex, bytes})


def compare(old: object, new: object, old_version: int) -> Diff:
    """Compare an argument or return value with the one before it; every comparison comes through here.

    UNCHANGED for the same tensor object at the same version counter, a number, string or None of the
    same type and value, an equal generative function, the same object of a class that says
    `is_persistent = True` (its objects never change), and tuples and frozen dataclasses of these.
    Lists, dicts, arrays, modules and other objects are UNKNOWN: they may have been changed in place.

    Args:
        old: The value before.
        new: The value now.
        old_version: `version_of(old)` when it was recorded.
    """
    replacement = _compare.get()
    if replacement is not None:
        return replacement(old, new, old_version)
    return UNCHANGED if is_same(old, new) and version_of(new) == old_version else UNKNOWN


def same_arguments(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    """Return whether all arguments compare UNCHANGED, given that no tensor changed in place."""
    replacement = _compare.get()
    if replacement is not None:
        return all(replacement(a, b, version_of(a)) is UNCHANGED for a, b in zip(old, new, strict=True))
    for before, now in zip(old, new, strict=True):
        if not (before is now and isinstance(now, Tensor)) and not is_same(before, now):
            return False
    return True


def compare_retvals(old: object, new: object, old_version: int) -> Diff:
    """Compare two return values leaf by leaf: as `compare`, and through distinct lists and dicts too.

    Args:
        old: The value before.
        new: The value now.
        old_version: `retval_version_of(old)` when it was recorded.
    """
    replacement = _compare.get()
    if replacement is not None:
        return replacement(old, new, old_version)
    return UNCHANGED if _same_leaves(old, new) and retval_version_of(new) == old_version else UNKNOWN


def is_same(old: Any, new: Any) -> bool:
    """Return whether two values are the same, apart from changes in place: see `compare`."""
    if isinstance(new, Tensor):
        return new is old
    kind: Any = type(new)
    if kind is not type(old):
        return False
    if kind in _SCALARS:
        return bool(old == new)
    if isinstance(new, tuple):
        return len(old) == len(new) and all(map(is_same, old, new))
    parts = _frozen_parts(kind)  # type: ignore[arg-type]  # every class is hashable
    if parts is not None:
        for name in parts:  # noqa: SIM110  # without a generator: most have one or two parts
            if not is_same(getattr(old, name), getattr(new, name)):
                return False
        return True
    if getattr(kind, "is_generative_function", False):
        return bool(old == new)
    return old is new and getattr(kind, "is_persistent", False)


def version_of(value: object) -> int:
    """Return a number that grows whenever a tensor in an argument is changed in place.

    The sum of the version counters of the tensors in it, through tuples and frozen dataclasses. Counters
    only grow, so equal sums over the same tensors mean that none has changed. Lists and dicts are not
    searched: they compare UNKNOWN anyway, and may be long.
    """
    if isinstance(value, Tensor):
        return value._version
    kind: Any = type(value)
    if kind in _SCALARS or kind is list or kind is dict:
        return 0
    if isinstance(value, tuple):
        return sum(map(version_of, value))
    total = 0
    for name in _frozen_parts(kind) or ():
        total += version_of(getattr(value, name))
    return total


def retval_version_of(value: object) -> int:
    """Return the same for a return value, through lists and dicts too."""
    if isinstance(value, Tensor):
        return value._version
    if type(value) is list:
        return sum(map(retval_version_of, value))
    if type(value) is dict:
        return sum(map(retval_version_of, value.values()))
    if type(value) is tuple:
        return sum(map(retval_version_of, value))
    return version_of(value)


def is_comparing_plainly() -> bool:
    """Return whether comparisons are this module's own."""
    return _compare.get() is None


def is_revisiting() -> bool:
    """Return whether nothing counts as unchanged now: see `revisiting`."""
    return _compare.get() is _nothing_is_known


@contextmanager
def revisiting() -> Iterator[None]:
    """Take nothing for unchanged while the block runs, not even a callee without arguments."""
    with comparing(_nothing_is_known):
        yield


@contextmanager
def comparing(replacement: Compare) -> Iterator[None]:
    """Compare through `replacement` while the block runs."""
    token = _compare.set(replacement)
    try:
        yield
    finally:
        _compare.reset(token)


def _same_leaves(old: Any, new: Any) -> bool:
    kind = type(new)
    if kind is type(old) and old is not new:
        if kind is list or kind is tuple:
            return len(old) == len(new) and all(map(_same_leaves, old, new))
        if kind is dict:
            return old.keys() == new.keys() and all(_same_leaves(old[key], new[key]) for key in new)
    return is_same(old, new)


@lru_cache(1024)
def _frozen_parts(kind: Any) -> list[str] | None:
    """Return the field names of a class of frozen dataclasses, None for any other class."""
    params = getattr(kind, "__dataclass_params__", None)
    if params is None or not params.frozen:
        return None
    return [part.name for part in fields(kind)]


def _nothing_is_known(old: object, new: object, old_version: int) -> Diff:
    return UNKNOWN


_compare: ContextVar[Compare | None] = ContextVar("gen_compare", default=None)
