"""The printed form of a trace: a tree of addresses, values and log densities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gen_core.choicemap_text import describe, draw

if TYPE_CHECKING:
    from gen_core.address import Path
    from gen_core.selection import Selection
    from gen_core.trace import Trace


def format_trace(trace: Trace[Any], observed: Selection) -> str:
    """Return the call and its score, then one line a choice: address, value, log density.

    Args:
        trace: Any trace.
        observed: The choices to mark as observed.
    """

    def label(path: Path, value: object) -> str:
        found = trace.find(path)
        density = "" if found is None else f"  (log density {describe(found.score)})"
        return f"{describe(value)}{density}{'  observed' if path in observed else ''}"

    return f"{trace.call!r}, score {describe(trace.score)}\n{draw(trace.choices, label)}"
