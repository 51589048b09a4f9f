"""regenerate: run the body again, drawing the selected choices anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import NONE, ChoiceTrace, Updated, rooms
from gen_core.arguments import all_unchanged
from gen_core.choicemap import EMPTY
from gen_core.derived import regenerate as regenerate_by_generate
from gen_dml.edit import Edit

if TYPE_CHECKING:
    from gen_core import ArgDiffs, Call, Path, Selection
    from gen_dml.language import DynamicFunction
    from gen_dml.trace import DynamicTrace

T = TypeVar("T")


def regenerate(
    gen_fn: DynamicFunction[..., Any],
    old: Any,
    call: Call[Any],
    argdiffs: ArgDiffs,
    selection: Selection,
) -> Updated[Any]:
    """Return the regenerated trace.

    weight = sum of (new - old log density) over kept choices + the weights of callees - the
    project(NONE) of vanished callees
    """
    run = _Regenerate(gen_fn, old, call, argdiffs, selection)
    retval = run.execute()
    for path, record in run.vanished():
        if type(record) is not ChoiceTrace:
            run.ledger.weights.append(-rooms.project(record, NONE))
        run.replace(record, path, record.choices)
    return run.finish(retval)


@final
class _Regenerate(Edit):
    def __init__(
        self,
        gen_fn: DynamicFunction[..., Any],
        old: DynamicTrace[Any],
        call: Call[Any],
        argdiffs: ArgDiffs,
        selection: Selection,
    ) -> None:
        super().__init__(gen_fn, old, call, argdiffs)
        self.selection = selection

    def visit_choice(self, call: Call[T], path: Path) -> T:
        old = self.old.records.get(path)
        if type(old) is ChoiceTrace and not self.selection.under(path).selects_here:
            return self.keep_choice(call, path, old)
        if old is not None:
            if type(old) is not ChoiceTrace:
                self.ledger.weights.append(-rooms.project(old, NONE))
            self.replace(old, path, old.choices)
        return self.draw_choice(call, path)

    def visit_callee(self, call: Call[T], path: Path) -> T:
        selected = self.selection.under(path)
        old = self.old.records.get(path)
        if old is None:
            return self.enter(path, *rooms.generate(call, EMPTY))
        if old.gen_fn is not call.gen_fn and old.gen_fn != call.gen_fn:
            return self.enter_edited(path, old, regenerate_by_generate(old, call, selected))
        diffs = self.hints.argdiffs(old, call)
        if selected is NONE and all_unchanged(diffs):
            kept: T = self.keep_callee(path, old)
            return kept
        edited: Updated[T] = rooms.regenerate(old, call, diffs, selected)
        return self.enter_edited(path, old, edited)
