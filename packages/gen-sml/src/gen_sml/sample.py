"""sample: run the generated code untraced; nothing is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from gen_core import ChoiceTrace, rooms
from gen_core.draw import draw
from gen_sml.run import Run

if TYPE_CHECKING:
    from gen_core import Call, Path
    from gen_sml.language import StaticFunction


def sample(gen_fn: StaticFunction[..., Any], call: Call[Any]) -> Any:
    """Return what a fresh run of the body returns."""
    return _Sample(gen_fn, call).execute()


@final
class _Sample(Run):
    operation = "sample"

    def choice(self, call: Call[Any], path: Path) -> ChoiceTrace[Any]:
        return ChoiceTrace(call, draw(call.gen_fn, call.args, call.kwargs))  # type: ignore[arg-type]

    def callee(self, call: Call[Any], path: Path) -> Any:
        return _Value(rooms.sample(call))


@final
class _Value:
    """Stands for the trace of a callee that has none."""

    __slots__ = ("retval",)

    def __init__(self, retval: object) -> None:
        self.retval = retval
