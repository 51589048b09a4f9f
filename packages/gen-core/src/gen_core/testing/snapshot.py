"""What a trace looked like, to see later whether it still does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from torch import Tensor

from gen_core.same import same
from gen_core.selection_build import where
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation
from gen_core.testing.structure import mapped

if TYPE_CHECKING:
    from gen_core.trace import Trace


@final
class Snapshot:
    """A deep copy of everything that a trace shows."""

    def __init__(self, trace: Trace[Any]) -> None:
        """Copy what `trace` shows now."""
        self._shown = copied(_shown(trace))

    def difference(self, trace: Trace[Any], eps: float = 0.0) -> str | None:
        """Return what `trace` shows otherwise than before, up to 1000 `eps`, None for nothing."""
        now = _shown(trace)
        for name, before in self._shown.items():
            if not same(before, now[name], eps):
                return f"its {name} changed from {before!r} to {now[name]!r}"
        return None


def copied(value: Any) -> Any:
    """Return a copy of the tensors in a value, and of what holds them; other objects are shared."""
    return mapped(value, lambda _, leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf)


def _shown(trace: Trace[Any]) -> dict[str, Any]:
    choices = dict(trace.choices.leaves())
    with Law.LOOKUP.checked_on(Operation("trace[address]", trace.choices)):
        values = {path: trace[path] for path in choices}
    everything = where(lambda path: True)
    return {
        "choices": choices,
        "values": values,
        "score": trace.score,
        "project": trace.project(everything),
        "retval": trace.retval,
        "args": (*trace.args, *trace.kwargs.values()),
    }
