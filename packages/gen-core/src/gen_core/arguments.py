"""Binding arguments to the parameters of a generative function, once, at the door."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, final

from gen_core.diff import UNCHANGED, UNKNOWN, ArgDiffs, Diff, compare, is_revisiting
from gen_core.errors import ArgumentDiffError

NO_KWARGS: Mapping[str, Any] = MappingProxyType({})

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@final
class Binder:
    """Binds calls to a signature: defaults filled in, everything that can be positional made so."""

    __slots__ = ("_defaults", "_signature", "_tails", "arity")

    def __init__(self, signature: inspect.Signature) -> None:
        self._signature = signature
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        simple = all(kind in _POSITIONAL for kind in kinds)
        self.arity: int = len(kinds) if simple else -1
        """The number of arguments that need no binding when all are given by position; -1 for none."""
        self._defaults = _plain_defaults(kinds, signature)
        self._tails = _tails(self._defaults or {})

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the bound arguments. Raises TypeError as Python does for a wrong call."""
        if not kwargs:
            if len(args) == self.arity:
                return args, NO_KWARGS
            tail = self._tails.get(len(args))
            if tail is not None:
                return args + tail, NO_KWARGS
        if self._defaults is not None:
            filled = _filled(self._defaults, args, kwargs)
            if filled is not None:
                return filled, NO_KWARGS
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.args, bound.kwargs or NO_KWARGS

    def names(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
        """Return the parameter name of each bound argument, keyword arguments last."""
        names: list[str] = []
        for name, parameter in self._signature.parameters.items():
            if parameter.kind in _POSITIONAL:
                names.append(name)
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                names.extend([name] * (len(args) - len(names)))
        return [*names[: len(args)], *kwargs]


def _plain_defaults(kinds: list[Any], signature: inspect.Signature) -> dict[str, Any] | None:
    """Return each parameter's default, if all may be given by position or by name."""
    if any(kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for kind in kinds):
        return None
    return {name: parameter.default for name, parameter in signature.parameters.items()}


def _tails(defaults: Mapping[str, Any]) -> dict[int, tuple[Any, ...]]:
    """Return what follows a number of arguments that are given by position, where all of it has defaults."""
    values = list(defaults.values())
    missing = [i for i, value in enumerate(values) if value is inspect.Parameter.empty]
    first = missing[-1] + 1 if missing else 0
    return {given: tuple(values[given:]) for given in range(first, len(values))}


def _filled(
    defaults: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, ...] | None:
    """Return all arguments by position, None where the call is wrong; many times faster than `bind`."""
    values = list(args)
    num_named = 0
    for name in list(defaults)[len(args) :]:
        if name in kwargs:
            num_named += 1
            values.append(kwargs[name])
        elif defaults[name] is not inspect.Parameter.empty:
            values.append(defaults[name])
        else:
            return None
    return tuple(values) if num_named == len(kwargs) and len(values) == len(defaults) else None


def compare_arguments(old: tuple[Any, ...], new: tuple[Any, ...], old_versions: tuple[int, ...]) -> ArgDiffs:
    """Return one hint an argument, from comparing it with the one before."""
    if len(old) != len(new):
        return (UNKNOWN,) * len(new)
    return tuple(map(compare, old, new, old_versions))


def hinted(
    diffs: ArgDiffs, hints: Diff | Mapping[str, Diff] | None, names: list[str], model: str
) -> ArgDiffs:
    """Return `diffs` with the caller's hints in their place.

    Raises:
        ArgumentDiffError: A hint names no parameter, or is not a `Diff`.
    """
    if hints is None:
        return diffs
    if isinstance(hints, Diff):
        return (hints,) * len(diffs)
    for name, hint in hints.items():
        if name not in names or not isinstance(hint, Diff):
            raise ArgumentDiffError(model, name, hint, names)
    return tuple(hints.get(name, diff) for name, diff in zip(names, diffs, strict=True))


def all_unchanged(diffs: ArgDiffs) -> bool:
    """Return whether every hint says UNCHANGED, and what has no arguments counts as unchanged."""
    return diffs.count(UNCHANGED) == len(diffs) and not is_revisiting()
