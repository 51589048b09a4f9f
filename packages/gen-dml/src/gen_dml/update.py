"""update: run the body again, keeping every choice that is not constrained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core import ChoiceTrace, Updated, rooms
from gen_core.arguments import all_unchanged
from gen_core.choicemap import EMPTY
from gen_core.derived import update as update_by_generate
from gen_core.scoring import given_value
from gen_dml.edit import Edit

if TYPE_CHECKING:
    from gen_core import ArgDiffs, Call, ChoiceMap, Path
    from gen_dml.language import DynamicFunction
    from gen_dml.trace import DynamicTrace

T = TypeVar("T")


def update(
    gen_fn: DynamicFunction[..., Any],
    old: Any,
    call: Call[Any],
    argdiffs: ArgDiffs,
    constraints: ChoiceMap,
) -> Updated[Any]:
    """Return the updated trace.

    weight = sum of (new - old log density) over kept and constrained choices, + new over new constrained
    ones, - old over vanished ones, + the weights of callees, - the scores of vanished ones
    """
    run = _Update(gen_fn, old, call, argdiffs, constraints)
    retval = run.execute()
    for path, record in run.vanished():
        run.lose(record)
        run.replace(record, path, record.choices)
    return run.finish(retval)


@final
class _Update(Edit):
    def __init__(
        self,
        gen_fn: DynamicFunction[..., Any],
        old: DynamicTrace[Any],
        call: Call[Any],
        argdiffs: ArgDiffs,
        constraints: ChoiceMap,
    ) -> None:
        super().__init__(gen_fn, old, call, argdiffs)
        self.constraints = constraints

    def visit_choice(self, call: Call[T], path: Path) -> T:
        given = self.constraints.submap(path)
        old = self.old.records.get(path)
        if given is EMPTY or not given.is_leaf:
            if type(old) is ChoiceTrace:
                return self.keep_choice(call, path, old)
            value = self.draw_choice(call, path)
        else:
            value = given_value(call, given.value, path)
            self.ledger.gained.append(self.add_choice(call, path, value))
        if old is not None:
            self.lose(old)
            self.replace(old, path, old.choices)
        return value

    def visit_callee(self, call: Call[T], path: Path) -> T:
        given = self.constraints.submap(path)
        old = self.old.records.get(path)
        if old is None:
            return self.enter(path, *rooms.generate(call, given))
        if old.gen_fn is not call.gen_fn and old.gen_fn != call.gen_fn:
            return self.enter_edited(path, old, update_by_generate(old, call, given))
        diffs = self.hints.argdiffs(old, call)
        if given.is_empty and all_unchanged(diffs):
            kept: T = self.keep_callee(path, old)
            return kept
        edited: Updated[T] = rooms.update(old, call, diffs, given)
        return self.enter_edited(path, old, edited)

    def lose(self, old: Any) -> None:
        """Take the old density of a choice or callee out of the weight."""
        if type(old) is ChoiceTrace:
            self.ledger.lost.append(old)
        else:
            self.ledger.weights.append(-old.score)
