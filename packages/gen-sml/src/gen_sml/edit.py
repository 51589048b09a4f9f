"""What update and regenerate share: a run of generated code beside the trace that is edited."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, final

from torch import Tensor

from gen_core import UNCHANGED, UNKNOWN, Call, ChoiceTrace, Updated
from gen_core.address import show
from gen_core.arguments import all_unchanged
from gen_core.choicemap_build import graft
from gen_core.diff import compare, compare_retvals, is_comparing_plainly, version_of
from gen_core.hints import Hints
from gen_core.ledger import Ledger
from gen_core.scoring import given_value, score_edited
from gen_sml.claims import Claims
from gen_sml.codegen_edit import Reach
from gen_sml.reach import changed_arguments, with_kept
from gen_sml.run import Run
from gen_sml.slots import Slots, Splice, in_order
from gen_sml.trace import StaticTrace

if TYPE_CHECKING:
    from gen_core import ArgDiffs, ChoiceMap, Diff, Path, Selection, Trace
    from gen_core.address import PathPart
    from gen_sml.language import StaticFunction
    from gen_sml.plan import AddressTree, Plan


class Edit(Run):
    """A run that keeps what it can of an old trace.

    It runs the nodes that the change can reach, each beside its old slot. Where nothing is known of the
    change, or slots of the old trace are missing, it runs them all, and finds what was there by address.
    """

    def __init__(
        self, gen_fn: StaticFunction[..., Any], old: StaticTrace[Any], call: Call[Any], argdiffs: ArgDiffs
    ) -> None:
        """Prepare to move `old` to the arguments of `call`."""
        super().__init__(gen_fn, call)
        self.old = old
        self.argdiffs = argdiffs
        self.ledger = Ledger()
        self.discards: list[tuple[Path, ChoiceMap]] = []
        self.has_moved = False
        """Whether an address is not what it was in the old trace."""
        self.versions: list[int] | None = None
        self._hints: Hints | None = None

    @abstractmethod
    def edit_choice(
        self, old: Trace[Any] | None, call: Call[Any], path: Path
    ) -> tuple[ChoiceTrace[Any], Diff]:
        """Return what a choice becomes, and how its value differs from that of `old`."""

    @abstractmethod
    def edit_callee(
        self, old: Trace[Any] | None, call: Call[Any], path: Path, inputs: tuple[Any, ...]
    ) -> tuple[Trace[Any], Diff]:
        """Return what a callee becomes, and how its value differs from that of `old`.

        Args:
            old: What is at the address in the old trace.
            call: The call now.
            path: The address.
            inputs: Variables that the call reads, each followed by whether it has changed.
        """

    @abstractmethod
    def take_out(self, old: Trace[Any]) -> None:
        """Note what the weight loses with a choice or callee that is no longer there."""

    @property
    @abstractmethod
    def asked(self) -> ChoiceMap | Selection:
        """What is constrained or selected."""

    @abstractmethod
    def asked_at(self, path: Path) -> ChoiceMap | Selection:
        """Return what is constrained or selected at and below an address."""

    @abstractmethod
    def keys_of(self, asked: Any) -> Collection[PathPart] | None:
        """Return the keys of what is asked for, None if these may be any."""

    @abstractmethod
    def touches(self, asked: Any, record: Trace[Any]) -> bool:
        """Return whether what is asked for at its address touches a choice or callee."""

    @final
    def edited(self) -> Updated[Any]:
        """Run what the change reaches, and return the edited trace."""
        old = self.old
        if is_comparing_plainly() and old.slots.is_whole:
            # Addresses are compared when all are known: one may be where another one was.
            self.claims = None
            reach = self._reach(old, old.slots, self.argdiffs)
            self._open(old.slots, old.retval, reach)
            body = self.gen_fn.program.edit(self.operation, reach)
            retval, has_changed = self._enter(self.gen_fn, self.call, body)
        else:
            retval, has_changed = self.execute(), True
            self.has_moved = True
        return self._finish(retval, has_changed)

    # What generated code calls when it runs everything.

    @final
    def choice(self, call: Call[Any], path: Path) -> ChoiceTrace[Any]:
        return self.edit_choice(self.old.record(path), call, path)[0]

    @final
    def callee(self, call: Call[Any], path: Path) -> Trace[Any]:
        return self.edit_callee(self.old.record(path), call, path, ())[0]

    # What generated code calls when it runs what a change reaches.

    @final
    def edit(self, call: Call[Any], path: Path, slot: int, inputs: tuple[Any, ...]) -> tuple[Any, bool]:
        """Visit a call again, and return its value and whether that has changed."""
        if type(call) is not Call:
            self.refuse(call, show(path))
        old_slots = self.old_slots
        old: Trace[Any] | None = old_slots.records[slot]
        stays = path == old_slots.paths[slot]
        if not stays:
            self.has_moved = True
            self.paths = [*self.paths[:slot], path, *self.paths[slot + 1 :]]
            old = self.old.record(path)
        record: Trace[Any]
        try:
            if type(call.gen_fn) is self._plain:
                record, diff = self.edit_choice(old, call, path)
            else:
                record, diff = self.edit_callee(old, call, path, inputs)
        except BaseException as error:
            self.locate(error, path)
            raise
        self.records[slot] = record
        return record.retval, diff is not UNCHANGED or not stays

    @final
    def edit_again(self, slot: int) -> tuple[Any, bool]:
        """Visit the call of before at its address, and return its value and whether that has changed."""
        old_slots = self.old_slots
        old: Trace[Any] = old_slots.records[slot]
        path, call = old_slots.paths[slot], old.call
        record: Trace[Any]
        try:
            if type(call.gen_fn) is self._plain:
                record, diff = self.edit_choice(old, call, path)
            else:
                record, diff = self.edit_callee(old, call, path, ())
        except BaseException as error:
            self.locate(error, path)
            raise
        self.records[slot] = record
        return record.retval, diff is not UNCHANGED

    @final
    def edit_inline(self, call: Call[Any] | None, slot: int, inputs: tuple[Any, ...]) -> tuple[Any, bool]:
        """Run a spliced function again, and return its value and whether that has changed.

        Without a call, its arguments have not changed.
        """
        old: Splice = self.old_slots.splices[slot]
        if call is None:
            call, diffs = old.call, (UNCHANGED,) * len(old.call.values())
        elif self.spliced(call) == old.call.gen_fn:
            diffs = self.argdiffs_of(old, call, inputs)
        else:
            return self._replace_splice(old, call, slot)
        callee: Any = call.gen_fn
        reach = self._reach(old, old.slots, diffs, call)
        outer = self._state()
        self._open(old.slots, old.retval, reach)
        try:
            retval, has_changed = self.within(callee, call, callee.program.edit(self.operation, reach))
            slots = self._slots()
        finally:
            self._restore(outer)
        self.splices[slot] = Splice(call, retval, slots)
        if has_changed:
            diff = self.hints.retdiff(old.retval, retval, old.retval_version)
            self.hints.carry(old.retval, retval, diff)
            has_changed = diff is not UNCHANGED
        return retval, has_changed

    @final
    def recomputed(self, value: object, slot: int) -> bool:
        """Keep a value that was computed again, and return whether it has changed."""
        old = self.old_slots
        if compare(old.values[slot], value, old.versions[slot]) is UNCHANGED:
            return False
        assert self.versions is not None
        self.values[slot] = value
        self.versions[slot] = version_of(value)
        return True

    # What operations use.

    @property
    def hints(self) -> Hints:
        """What is known of how values differ; nothing is noted before a callee is visited."""
        if self._hints is None:
            self._hints = Hints()
            arguments = zip(self.old.call.values(), self.call.values(), self.argdiffs, strict=False)
            for before, now, diff in arguments:
                self._hints.carry(before, now, diff)
        return self._hints

    @final
    def keep_choice(
        self, old: ChoiceTrace[Any], call: Call[Any], path: Path
    ) -> tuple[ChoiceTrace[Any], Diff]:
        """Keep the value of an old choice; its density changes if its arguments do."""
        same_distribution = old.gen_fn is call.gen_fn or old.gen_fn == call.gen_fn
        if same_distribution and old.is_of(call):
            return old, UNCHANGED
        choice = self.made(call, path, given_value(call, old.retval, path))
        self.ledger.gained.append(choice)
        self.ledger.lost.append(old)
        self.ledger.gone.append(old)
        return choice, self.difference(old, choice)

    @final
    def replace(self, old: Trace[Any], path: Path, discard: ChoiceMap) -> None:
        """Note that `old` does not stay, and which of its values are discarded."""
        self.ledger.gone.append(old)
        self.discards.append((path, discard))

    @final
    def enter(self, made: tuple[Trace[Any], Any]) -> tuple[Trace[Any], Diff]:
        """Record a callee that was not there before: its trace and weight."""
        trace, weight = made
        self.ledger.entered.append(trace)
        self.ledger.weights.append(weight)
        return trace, UNKNOWN

    @final
    def enter_edited(self, path: Path, old: Trace[Any], edited: Updated[Any]) -> tuple[Trace[Any], Diff]:
        """Record a callee that was edited in place of `old`."""
        self.replace(old, path, edited.discard)
        self.enter((edited.trace, edited.weight))
        self.hints.carry(old.retval, edited.trace.retval, edited.retdiff)
        return edited.trace, edited.retdiff

    @final
    def keep_callee(self, old: Trace[Any]) -> tuple[Trace[Any], Diff]:
        """Keep a callee that nothing has changed for."""
        self.hints.carry(old.retval, old.retval, UNCHANGED)
        return old, UNCHANGED

    @final
    def difference(self, old: Trace[Any] | None, new: Trace[Any]) -> Diff:
        """Return how the value of a choice differs from what was there before."""
        if old is None:
            return UNKNOWN
        before, now = old.retval, new.retval
        if now is not before and isinstance(now, Tensor):
            return compare(before, now, 0)  # another tensor, whatever its version was
        return compare(before, now, old.retval_version)

    @final
    def argdiffs_of(self, old: Any, call: Call[Any], inputs: tuple[Any, ...]) -> ArgDiffs:
        """Return how a callee's arguments changed, with the hints that values carry along."""
        if call is old.call and tuple(map(version_of, call.values())) == old.versions:
            return (UNCHANGED,) * len(old.versions)
        diffs = self.hints.argdiffs(old, call)
        return with_kept(diffs, old, call, inputs) if inputs and UNKNOWN in diffs else diffs

    def _replace_splice(self, old: Splice, call: Call[Any], slot: int) -> tuple[Any, bool]:
        """Run another function in the place of a spliced one; what it visits is found by address."""
        self.has_moved = True
        versions, self.versions = self.versions, None
        splices, self.splices = self.splices, []
        try:
            value = self.inline(call)
            (made,) = self.splices
        finally:
            self.versions, self.splices = versions, splices
        self.splices[slot] = made
        return value, compare_retvals(old.retval, value, old.retval_version) is not UNCHANGED

    def _reach(self, old: Any, slots: Slots, diffs: ArgDiffs, call: Call[Any] | None = None) -> Reach:
        new = self.call if call is None else call
        callee: Any = new.gen_fn
        plan: Plan = callee.program.plan
        if new is old.call and diffs.count(UNCHANGED) == len(diffs):
            changed = plan.unchanged
        else:
            changed = changed_arguments(plan, old.call, new, diffs)
        return Reach(changed, self._touched(slots, plan))

    def _touched(self, slots: Slots, plan: Plan) -> frozenset[int]:
        numbers: list[int] = []
        self._collect_touched(plan.tree, self.asked, slots, plan, numbers)
        return frozenset(numbers)

    def _collect_touched(
        self, tree: AddressTree, asked: Any, slots: Slots, plan: Plan, numbers: list[int]
    ) -> None:
        """Add the visits that are touched, without asking for each address of a large function."""
        number = tree.visit
        if number is not None and self.touches(asked, slots.records[plan.numbers[number][0]]):
            numbers.append(number)
        if tree.computed:
            numbers += [number for number in tree.computed if self._is_touched(number, slots, plan)]
        if not tree.below:
            return
        keys = self.keys_of(asked)
        for key in tree.below if keys is None or len(keys) > len(tree.below) else keys:
            below = tree.below.get(key)
            if below is not None:
                self._collect_touched(below, asked.child(key), slots, plan, numbers)

    def _is_touched(self, number: int, slots: Slots, plan: Plan) -> bool:
        slot, is_splice = plan.numbers[number]
        if not is_splice:
            return self.touches(self.asked_at(slots.paths[slot]), slots.records[slot])
        splice = slots.splices[slot]
        callee: Any = splice.call.gen_fn
        return bool(self._touched(splice.slots, callee.program.plan))

    def _open(self, slots: Slots, retval: Any, reach: Reach) -> None:
        """Start from the slots of an old run."""
        self.old_slots, self.old_retval = slots, retval
        self.records, self.values = list(slots.records), list(slots.values)
        self.splices, self.versions = list(slots.splices), list(slots.versions)
        self.paths = slots.paths  # type: ignore[assignment]  # replaced, not changed, where one moves
        self.changed, self.touched = reach

    def _state(self) -> tuple[Any, ...]:
        old = self.old_slots, self.old_retval, self.changed, self.touched
        return *old, self.records, self.values, self.splices, self.versions, self.paths

    def _restore(self, state: tuple[Any, ...]) -> None:
        self.old_slots, self.old_retval, self.changed, self.touched = state[:4]
        self.records, self.values, self.splices, self.versions, self.paths = state[4:]

    def _slots(self) -> Slots:
        return Slots(self.records, self.paths, self.values, self.splices, self.versions)

    def _finish(self, retval: Any, has_changed: bool) -> Updated[Any]:
        old, slots, plan = self.old, self._slots(), self.gen_fn.program.plan
        if self.has_moved and not plan.is_fixed:
            self._refuse_duplicates(slots, plan)
            self._take_out_vanished(slots, plan)
        new = score_edited(self.new, self.new_paths, self.gen_fn.name)
        weight, score = self.ledger.settle(
            old.raw_score, new, len(self.new), lambda: [record for _, record in in_order(slots, plan)]
        )
        diff = self.hints.retdiff(old.retval, retval, old.retval_version) if has_changed else UNCHANGED
        versions = old.versions if self.call is old.call and all_unchanged(self.argdiffs) else None
        trace = StaticTrace(self.call, retval, score, slots, versions)
        return Updated(trace, weight, diff, graft(self.discards))

    def _take_out_vanished(self, slots: Slots, plan: Plan) -> None:
        now = {path for path, _ in in_order(slots, plan)}
        for path, record in self.old.in_order():
            if path not in now:
                self.take_out(record)
                self.replace(record, path, record.choices)

    def _refuse_duplicates(self, slots: Slots, plan: Plan) -> None:
        claims = Claims()
        for path, _ in in_order(slots, plan):
            claims.add(path, plan.place_of(plan.graph))
