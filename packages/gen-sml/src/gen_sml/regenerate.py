"""regenerate: run what the change reaches, drawing the selected choices anew."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, final

from gen_core import NONE, ChoiceTrace, Updated, rooms
from gen_core.arguments import all_unchanged
from gen_core.choicemap import EMPTY
from gen_core.derived import regenerate as regenerate_by_generate
from gen_sml.edit import Edit

if TYPE_CHECKING:
    from gen_core import ArgDiffs, Call, Diff, Path, Selection, Trace
    from gen_core.address import PathPart
    from gen_sml.language import StaticFunction


def regenerate(
    gen_fn: StaticFunction[..., Any], old: Any, call: Call[Any], argdiffs: ArgDiffs, selection: Selection
) -> Updated[Any]:
    """Return the regenerated trace.

    weight = sum of (new - old log density) over kept choices + the weights of callees - the
    project(NONE) of vanished callees
    """
    return _Regenerate(gen_fn, old, call, argdiffs, selection).edited()


@final
class _Regenerate(Edit):
    operation = "regenerate"

    def __init__(
        self,
        gen_fn: StaticFunction[..., Any],
        old: Any,
        call: Call[Any],
        argdiffs: ArgDiffs,
        selection: Selection,
    ) -> None:
        super().__init__(gen_fn, old, call, argdiffs)
        self.selection = selection

    def edit_choice(
        self, old: Trace[Any] | None, call: Call[Any], path: Path
    ) -> tuple[ChoiceTrace[Any], Diff]:
        if type(old) is ChoiceTrace and not self.selection.under(path).selects_here:
            return self.keep_choice(old, call, path)
        if old is not None:
            self.take_out(old)
            self.replace(old, path, old.choices)
        choice = self.drawn(call, path)
        return choice, self.difference(old, choice)

    def edit_callee(
        self, old: Trace[Any] | None, call: Call[Any], path: Path, inputs: tuple[Any, ...]
    ) -> tuple[Trace[Any], Diff]:
        selected = self.selection.under(path)
        if old is None:
            return self.enter(rooms.generate(call, EMPTY))
        if old.gen_fn is not call.gen_fn and old.gen_fn != call.gen_fn:
            return self.enter_edited(path, old, regenerate_by_generate(old, call, selected))
        diffs = self.argdiffs_of(old, call, inputs)
        if selected is NONE and all_unchanged(diffs):
            return self.keep_callee(old)
        return self.enter_edited(path, old, rooms.regenerate(old, call, diffs, selected))

    def take_out(self, old: Trace[Any]) -> None:
        if type(old) is not ChoiceTrace:
            self.ledger.weights.append(-rooms.project(old, NONE))

    @property
    def asked(self) -> Selection:
        return self.selection

    def asked_at(self, path: Path) -> Selection:
        return self.selection.under(path)

    def keys_of(self, asked: Selection) -> Collection[PathPart] | None:
        return asked.keys()

    def touches(self, asked: Selection, record: Trace[Any]) -> bool:
        return asked.selects_here if type(record) is ChoiceTrace else asked is not NONE
