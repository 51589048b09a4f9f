"""Guards: what a staged program took for granted of the Python around it, checked at every call.

Staging reads closure cells, globals and attributes as they are. A program is used again only while
they are the same: numbers and strings by value, everything else by identity, containers and the plain
attributes of objects by their contents.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gen_core import Distribution, GenerativeFunction

MISSING = object()
_SCALARS = (int, float, str, bool, bytes, complex, type(None), torch.dtype, torch.device)
_SKIPPED_MODULES = (
    "torch",
    "gen_core",
    "gen_distributions",
    "gen_dml",
    "gen_sml",
    "gen_combinators",
    "gen_torch",
    "math",
    "builtins",
)


class Guard(NamedTuple):
    """One thing that must stay as it was."""

    name: str
    read: Callable[[], object]
    value: object
    is_fixed: bool
    """Whether the value stays as it is while it is the same object."""
    expected: object

    def holds(self) -> bool:
        """Return whether it is as it was."""
        value = self.read()
        if value is self.value and self.is_fixed:
            return True
        return fingerprint(value) == self.expected


def guards_of(function: Callable[..., Any]) -> list[Guard]:
    """Return guards for everything that `function` and what it calls read from the Python around them."""
    return list(_Walk().of(function))


class _Walk:
    """A walk over functions and what they capture, each once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def of(self, value: object) -> Iterator[Guard]:
        if id(value) in self._seen or isinstance(value, (*_SCALARS, Tensor, type, types.ModuleType)):
            return
        self._seen.add(id(value))
        if isinstance(value, functools.partial):
            yield from self._each([value.func, *value.args, *value.keywords.values()])
        elif isinstance(value, types.MethodType):
            yield from self._each([value.__func__, value.__self__])
        elif isinstance(value, types.FunctionType):
            yield from self._of_function(value)
        elif isinstance(value, Distribution):
            return
        elif isinstance(value, GenerativeFunction):
            yield from self._each(vars(value).values())
        elif isinstance(value, nn.Module):
            modules = list(value.modules())
            yield _guard(f"training flags of {type(value).__name__}", lambda: [m.training for m in modules])
            yield from self._of_attributes(value)
        elif isinstance(value, list | tuple):
            yield from self._each(value)
        elif isinstance(value, dict):
            yield from self._each(value.values())
        elif hasattr(value, "__dict__") and not type(value).__module__.startswith(_SKIPPED_MODULES):
            yield from self._of_attributes(value)

    def _each(self, values: Any) -> Iterator[Guard]:
        for value in list(values):
            yield from self.of(value)

    def _of_function(self, function: types.FunctionType) -> Iterator[Guard]:
        if (function.__module__ or "").split(".")[0] in _SKIPPED_MODULES:
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            yield _guard(name, lambda cell=cell: _contents(cell))  # type: ignore[misc]
            yield from self.of(_contents(cell))
        read = function.__globals__
        for name in _names(function.__code__):
            if name in read:
                yield _guard(name, lambda name=name: read.get(name, MISSING))  # type: ignore[misc]
                yield from self.of(read[name])
        yield from self._each([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()])

    def _of_attributes(self, value: object) -> Iterator[Guard]:
        for name, attribute in list(vars(value).items()):
            if not name.startswith("_"):
                yield _guard(
                    f"{type(value).__name__}.{name}",
                    lambda name=name: vars(value).get(name, MISSING),  # type: ignore[misc]
                )
                yield from self.of(attribute)


def fingerprint(value: object, depth: int = 32) -> object:
    """Return something that is equal while `value` is the same: see the module's first lines."""
    if isinstance(value, _SCALARS):
        return type(value), value
    if isinstance(value, list | tuple) and depth:
        return type(value), tuple(fingerprint(part, depth - 1) for part in value)
    if isinstance(value, dict) and depth:
        return dict, tuple((key, fingerprint(part, depth - 1)) for key, part in value.items())
    return _Identity(value)


class _Identity:
    """Equal to itself alone; keeps its value, so that nothing else gets its id."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _guard(name: str, read: Callable[[], object]) -> Guard:
    value = read()
    return Guard(name, read, value, _is_fixed(value), fingerprint(value))


def _is_fixed(value: object) -> bool:
    """Return whether no list or dict is in it, which may be filled otherwise."""
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    return not isinstance(value, list | dict)


def _contents(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the global names of a function's code, nested functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
