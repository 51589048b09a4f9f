"""The change that somebody wants to see the generated code for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gen_core.address import Address, as_path, show, show_all
from gen_sml.codegen_edit import Reach
from gen_sml.graph import Expression

if TYPE_CHECKING:
    from gen_core import Path
    from gen_sml.graph import Visit
    from gen_sml.plan import Plan

_RUNS = ("simulate", "generate", "assess", "sample")
_EDITS = ("update", "regenerate")


def reach_of(
    plan: Plan,
    operation: str,
    touched: Address | Iterable[Address] | None,
    changed: str | Iterable[str] | None,
) -> tuple[Reach | None, ...]:
    """Return the one reach of an edit, None for any; nothing for other operations.

    Raises:
        ValueError: There is no such operation, address or argument.
    """
    if operation in _RUNS:
        if touched is not None or changed is not None:
            raise ValueError(f"The code of {operation} does not depend on what is touched or changed.")
        return ()
    if operation not in _EDITS:
        known = ", ".join((*_RUNS, *_EDITS))
        raise ValueError(f"Expected an operation with generated code, one of {known}, but got {operation!r}.")
    if touched is None and changed is None:
        return (None,)
    given: Any = () if touched is None else touched
    addresses = given if isinstance(given, list | set | frozenset) else [given] if given != () else []
    numbers = frozenset(number for address in addresses for number in _visits_at(plan, as_path(address)))
    names = [changed] if isinstance(changed, str) else list(changed or ())
    unknown = [name for name in names if name not in plan.arguments]
    if unknown:
        known = ", ".join(plan.arguments) or "none"
        raise ValueError(f"{plan.graph.name} has no argument {unknown[0]!r}; its arguments: {known}.")
    return (Reach(tuple(name in names for name in plan.arguments), numbers),)


def _visits_at(plan: Plan, path: Path) -> list[int]:
    """Return the visits that may be at an address, above it or below it."""
    found = [number for number, visit in enumerate(plan.visits) if visit.address and _may_touch(visit, path)]
    if not found:
        literal = [known for known in plan.literals if known is not None]
        raise ValueError(f"{plan.graph.name} visits nothing at {show(path)}; it visits {show_all(literal)}.")
    return found


def _may_touch(visit: Visit, path: Path) -> bool:
    pairs = zip(visit.address or (), path, strict=False)
    return all(isinstance(part, Expression) or part == key for part, key in pairs)
