"""The outermost call judges: constraints never visited, selected addresses that do not exist."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gen_core.errors import GenError, GenWarning, UnknownSelectionError, UnvisitedConstraintsError

if TYPE_CHECKING:
    from gen_core.address import Path
    from gen_core.choicemap import ChoiceMap
    from gen_core.selection import Selection
    from gen_core.trace import Trace

Policy: TypeAlias = Literal["error", "warn", "ignore"]


@contextmanager
def unvisited(policy: Policy) -> Iterator[None]:
    """Set what happens with unvisited constraints and selections that match nothing.

    Args:
        policy: `"error"` (the default outside any such block), `"warn"` or `"ignore"`.
    """
    if policy not in ("error", "warn", "ignore"):
        raise ValueError(f'Expected a policy "error", "warn" or "ignore", but got {policy!r}.')
    token = _policy.set(policy)
    try:
        yield
    finally:
        _policy.reset(token)


def judge_constraints(constraints: ChoiceMap, trace: Trace[Any]) -> None:
    """Raise or warn if `trace` did not visit all of `constraints`."""
    if _policy.get() == "ignore":
        return
    left = trace.unvisited(constraints)
    if left:
        _speak(UnvisitedConstraintsError(trace.gen_fn.name, left, list(trace.choices.paths())))


def judge_selection(selection: Selection, *traces: Trace[Any]) -> None:
    """Raise or warn if `selection` names a literal address that none of `traces` has."""
    if _policy.get() == "ignore":
        return
    left = [path for path in selection.literals() if not any(_has(trace, path) for trace in traces)]
    if left:
        trace = traces[0]
        _speak(UnknownSelectionError(trace.gen_fn.name, left, list(trace.choices.paths())))


def _has(trace: Trace[Any], path: Path) -> bool:
    return trace.find(path) is not None or not trace.choices.submap(path).is_empty


def _speak(error: GenError) -> None:
    if _policy.get() == "error":
        raise error
    warnings.warn(str(error), GenWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return the `stacklevel` of who called a door: doors call each other."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame, depth = frame.f_back, depth + 1
    return depth


_policy: ContextVar[Policy] = ContextVar("gen_unvisited_policy", default="error")
