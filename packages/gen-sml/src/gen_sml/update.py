"""update: run what the change reaches, keeping every choice that is not constrained."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, final

from gen_core import ChoiceTrace, Updated, rooms
from gen_core.arguments import all_unchanged
from gen_core.choicemap import EMPTY
from gen_core.derived import update as update_by_generate
from gen_core.scoring import given_value
from gen_sml.edit import Edit

if TYPE_CHECKING:
    from gen_core import ArgDiffs, Call, ChoiceMap, Diff, Path, Trace
    from gen_core.address import PathPart
    from gen_sml.language import StaticFunction


def update(
    gen_fn: StaticFunction[..., Any], old: Any, call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap
) -> Updated[Any]:
    """Return the updated trace.

    weight = sum of (new - old log density) over kept and constrained choices, + new over new constrained
    ones, - old over vanished ones, + the weights of callees, - the scores of vanished ones
    """
    return _Update(gen_fn, old, call, argdiffs, constraints).edited()


@final
class _Update(Edit):
    operation = "update"

    def __init__(
        self,
        gen_fn: StaticFunction[..., Any],
        old: Any,
        call: Call[Any],
        argdiffs: ArgDiffs,
        constraints: ChoiceMap,
    ) -> None:
        super().__init__(gen_fn, old, call, argdiffs)
        self.constraints = constraints

    def edit_choice(
        self, old: Trace[Any] | None, call: Call[Any], path: Path
    ) -> tuple[ChoiceTrace[Any], Diff]:
        given = self.constraints.submap(path)
        if given is EMPTY or not given.is_leaf:
            if type(old) is ChoiceTrace:
                return self.keep_choice(old, call, path)
            choice = self.drawn(call, path)
        else:
            choice = self.made(call, path, given_value(call, given.value, path))
            self.ledger.gained.append(choice)
        if old is not None:
            self.take_out(old)
            self.replace(old, path, old.choices)
        return choice, self.difference(old, choice)

    def edit_callee(
        self, old: Trace[Any] | None, call: Call[Any], path: Path, inputs: tuple[Any, ...]
    ) -> tuple[Trace[Any], Diff]:
        given = self.constraints.submap(path)
        if old is None:
            return self.enter(rooms.generate(call, given))
        if old.gen_fn is not call.gen_fn and old.gen_fn != call.gen_fn:
            return self.enter_edited(path, old, update_by_generate(old, call, given))
        diffs = self.argdiffs_of(old, call, inputs)
        if given.is_empty and all_unchanged(diffs):
            return self.keep_callee(old)
        return self.enter_edited(path, old, rooms.update(old, call, diffs, given))

    def take_out(self, old: Trace[Any]) -> None:
        if type(old) is ChoiceTrace:
            self.ledger.lost.append(old)
        else:
            self.ledger.weights.append(-old.score)

    @property
    def asked(self) -> ChoiceMap:
        return self.constraints

    def asked_at(self, path: Path) -> ChoiceMap:
        return self.constraints.submap(path)

    def keys_of(self, asked: ChoiceMap) -> Collection[PathPart]:
        return asked.child_keys()

    def touches(self, asked: ChoiceMap, record: Trace[Any]) -> bool:
        return not asked.is_empty
