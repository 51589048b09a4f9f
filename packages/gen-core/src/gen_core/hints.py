"""Change hints that travel with values: from an argument or a callee to the callees that get the value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from gen_core.arguments import compare_arguments
from gen_core.diff import (
    UNCHANGED,
    UNKNOWN,
    ArgDiffs,
    Diff,
    compare_retvals,
    is_comparing_plainly,
    is_same,
    version_of,
)

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.trace import Trace


@final
class Hints:
    """What is known, in one edit, of how values differ from those that stood in their place."""

    __slots__ = ("_carried",)

    def __init__(self) -> None:
        self._carried: dict[int, tuple[Any, Any, int, Diff]] = {}

    def carry(self, before: object, now: object, diff: Diff) -> None:
        """Remember how `now` differs from `before`, for callees that it is passed on to."""
        if diff is UNKNOWN or now is None or isinstance(now, _SCALARS) or not is_comparing_plainly():
            return
        # It holds the value, so that its id stays its own.
        self._carried[id(now)] = before, now, version_of(now), diff

    def of(self, before: object, now: object) -> Diff:
        """Return how `now` differs from `before`, UNKNOWN if nobody has said."""
        carried = self._carried.get(id(now))
        if carried is None:
            return UNKNOWN
        earlier, _, version, diff = carried
        if earlier is not before and not is_same(earlier, before):
            return UNKNOWN
        return diff if version_of(now) == version else UNKNOWN

    def argdiffs(self, old: Trace[Any], call: Call[Any]) -> ArgDiffs:
        """Return how a callee's arguments differ from those in its trace, with what values carry along."""
        before, now = old.call.values(), call.values()
        diffs = compare_arguments(before, now, old.versions)
        if not self._carried or len(before) != len(now):
            return diffs
        changes = zip(before, now, diffs, strict=True)
        return tuple(diff if diff is UNCHANGED else self.of(a, b) for a, b, diff in changes)

    def retdiff(self, before: object, now: object, version: int) -> Diff:
        """Return how a return value differs from the old one, recorded at `version`."""
        diff = compare_retvals(before, now, version)
        return diff if diff is UNCHANGED else self.of(before, now)


_SCALARS = (int, float, str)
