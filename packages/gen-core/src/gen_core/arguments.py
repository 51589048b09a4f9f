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

    __slots__ = ("_signature", "arity")

    def __init__(self, signature: inspect.Signature) -> None:
        self._signature = signature
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        simple = all(kind in _POSITIONAL for kind in kinds)
        self.arity: int = len(kinds) if simple else -1
        """The number of arguments that need no binding when all are given by position; -1 for none."""

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the bound arguments. Raises TypeError as Python does for a wrong call."""
        if not kwargs and len(args) == self.arity:
            return args, NO_KWARGS
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
    return all(diff is UNCHANGED for diff in diffs) and not is_revisiting()
