"""Generated code of edits: only the nodes that a change can reach.

A node is run if it is touched (its choice is constrained or selected) or if a variable that it reads has
changed; if it is only touched, its call is the one of before. What is known when the code is written needs
no test when it runs; whether a node that may change has kept its value is known only then, and is in a
variable `..._changed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, final

from gen_sml.codegen import Code, Names, assignment, parameters, visit_arguments
from gen_sml.graph import Argument, Compute, Parameter, Visit

if TYPE_CHECKING:
    from gen_sml.plan import Plan


class Reach(NamedTuple):
    """Where a change starts."""

    changed: tuple[bool, ...]
    """Whether each argument has changed."""
    touched: frozenset[int]
    """The numbers of the visits that are constrained or selected."""


def edit(plan: Plan, operation: str, reach: Reach | None) -> Code:
    """Return code that runs what a change can reach; None for code that finds out when it runs."""
    return _Writer(plan, operation, reach).write()


@final
class _Writer:
    def __init__(self, plan: Plan, operation: str, reach: Reach | None) -> None:
        self.plan = plan
        self.reach = reach
        self.names = Names(plan.graph)
        self.code = Code(self.names.fresh(operation))
        self.run, self.old, self.touched = map(self.names.fresh, ("run", "old", "touched"))
        self.flags: dict[str, str] = {}
        """For each variable that may have changed, `True` or the name of what says so."""
        self.present = set(plan.arguments)
        """Variables that have a value whatever happened."""
        self.tested: list[str] = []

    def write(self) -> Code:
        self._write_start()
        head = len(self.code.lines)
        numbers = enumerate(self.plan.numbers)
        for node in self.plan.graph.nodes:
            if isinstance(node, Visit):
                number, (slot, _) = next(numbers)
                self._write_visit(node, number, slot)
            elif not isinstance(node, Argument):
                self._write_compute(node)
        self._write_result()
        self._insert_flags(head)
        return self.code

    def _write_start(self) -> None:
        plan, code = self.plan, self.code
        code.add(f"def {code.name}({parameters(plan.graph, self.run)}):")
        code.indent()
        if self.reach is None:
            self.flags = {name: self.names.fresh(f"{name}_changed") for name in plan.arguments}
            if self.flags:
                code.add(f"{', '.join(self.flags.values())}, = {self.run}.changed")
            code.add(f"{self.touched} = {self.run}.touched")
        else:
            changed = zip(plan.arguments, self.reach.changed, strict=True)
            self.flags = {name: "True" for name, is_changed in changed if is_changed}
        code.add(f"{self.old} = {self.run}.old_slots")

    def _write_visit(self, node: Visit, number: int, slot: int) -> None:
        flags = self._flags_of(node.reads)
        touched = f"{number} in {self.touched}" if self.reach is None else ""
        if self.reach is not None and number in self.reach.touched:
            touched = "True"
        tests = [*flags, *([touched] if touched else [])]
        if not tests:
            return
        self.code.at(node.place)
        flag = self.names.fresh(f"{node.target}_changed")
        is_certain = "True" in tests
        if flags:
            self._write_branch(flags, lambda: self._write_call(node, slot, flag, flags))
        if touched and "True" not in flags:
            word = "elif" if flags else "if"
            again = f"{node.target}, {flag} = {self._again(node, slot)}"
            if touched != "True":
                self.code.add(f"{word} {touched}: {again}")
            else:
                self.code.add(f"else: {again}" if flags else again)
        self.flags[node.target] = flag
        if is_certain:
            self.present.add(node.target)
        else:
            self.tested.append(flag)

    def _write_branch(self, flags: list[str], write: Callable[[], None]) -> None:
        """Write what is run if one of the flags is set."""
        if "True" in flags:
            write()
            return
        self.code.add(f"if {' or '.join(flags)}:")
        self.code.indent()
        write()
        self.code.indent(-1)

    def _write_call(self, node: Visit, slot: int, flag: str, flags: list[str]) -> None:
        self._load(node.reads, flags)
        if node.address is None:
            given = f"edit_inline({node.call.source}, {slot}, {self._inputs(node)})"
        else:
            given = f"edit({visit_arguments(node, self.run)}, {slot}, {self._inputs(node)})"
        self.code.add(f"{node.target}, {flag} = {self.run}.{given}")

    def _again(self, node: Visit, slot: int) -> str:
        """Return the source of a visit that reads nothing new: its call is the one of before."""
        if node.address is None:
            return f"{self.run}.edit_inline(None, {slot}, ())"
        return f"{self.run}.edit_again({slot})"

    def _write_compute(self, node: Compute | Parameter) -> None:
        flags = self._flags_of(node.reads)
        if not flags:
            return
        self.code.at(node.place)
        if "True" not in flags:
            self.code.add(f"if {' or '.join(flags)}:")
            self.code.indent()
        self._load(node.reads, flags)
        self.code.add(assignment(node))
        kept = [(name, self.plan.values[name]) for name in node.targets if name in self.plan.values]
        for name, slot in kept:
            self.flags[name] = self.names.fresh(f"{name}_changed")
            self.code.add(f"{self.flags[name]} = {self.run}.recomputed({name}, {slot})")
        if "True" not in flags:
            self.code.indent(-1)
            self.tested += [self.flags[name] for name, _ in kept]
        else:
            self.present.update(name for name, _ in kept)

    def _write_result(self) -> None:
        result, code = self.plan.graph.result, self.code
        flags = self._flags_of(result.reads)
        code.at(self.plan.graph.place)
        if flags and "True" not in flags:
            code.add(f"if {' or '.join(flags)}:")
            code.indent()
        if flags:
            self._load(result.reads, flags)
            code.add(f"return {result.source}, True")
        if "True" in flags:
            return
        code.indent(-1 if flags else 0)
        code.add(f"return {self.run}.old_retval, False")

    def _insert_flags(self, line: int) -> None:
        """Say at the start that what is not run has not changed."""
        if not self.tested:
            return
        self.code.lines.insert(line, f"    {' = '.join(self.tested)} = False")
        self.code.places = {at + (at > line): place for at, place in self.code.places.items()}

    def _flags_of(self, reads: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(self.flags[name] for name in reads if name in self.flags))

    def _load(self, reads: Iterable[str], tested: list[str]) -> None:
        """Give variables that were not computed now the values that they had.

        Args:
            reads: Variables.
            tested: What is true where they are read: one of these.
        """
        for name in reads:
            if name in self.present or name not in self.plan.slots:
                continue
            load = f"{name} = {self.old}.{self.plan.slots[name]}"
            flag = self.flags.get(name)
            if flag is None:
                self.code.add(load)
            elif tested != [flag]:
                self.code.add(f"if not {flag}: {load}")
            if "True" in tested:
                self.present.add(name)

    def _inputs(self, node: Visit) -> str:
        """Return the source of what the call reads, each with whether it has changed."""
        pairs = [f"{name}, {self.flags.get(name, 'False')}" for name in node.call.reads]
        return f"({', '.join(pairs)})" if pairs else "()"
