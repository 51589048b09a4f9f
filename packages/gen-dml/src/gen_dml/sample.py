"""sample: run the body untraced; nothing is recorded or scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import rooms
from gen_dml.run import Run

if TYPE_CHECKING:
    from gen_core import Call, Path
    from gen_dml.language import DynamicFunction

T = TypeVar("T")


def sample(gen_fn: DynamicFunction[..., Any], call: Call[Any]) -> Any:
    """Return what a fresh run of the body returns."""
    return _Sample(gen_fn, call).execute()


@final
class _Sample(Run):
    def visit_choice(self, call: Call[T], path: Path) -> T:
        return self.draw_choice(call, path)

    def visit_callee(self, call: Call[T], path: Path) -> T:
        return rooms.sample(call)
