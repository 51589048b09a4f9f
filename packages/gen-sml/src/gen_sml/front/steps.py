"""The steps of a body so far: which version of each variable is current, and what may still be merged.

A variable keeps its name at its first assignment, and becomes `x_2`, `x_3`, ... when it is assigned again.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, TypeAlias, final

from gen_sml.front.names import all_names, bound_anywhere, bound_names, parameters, reads_of, variable
from gen_sml.front.source import Source
from gen_sml.front.surface import Surface
from gen_sml.graph import Compute, Expression, Node, Parameter, Visit
from gen_sml.runtime import UNBOUND, Bound, Unchanging

Fresh: TypeAlias = Literal["constant", "object"]
"""What was surely made by a statement itself: an immutable constant, or an object nobody else has."""


@final
@dataclass(eq=False)
class Region:
    """Consecutive statements without traced calls, and the state before them."""

    statements: list[ast.stmt]
    before: State


@final
@dataclass(frozen=True, slots=True)
class Binding:
    """The current version of a variable."""

    variable: str
    is_certain: bool = True
    """False if the statements that assign it may have left it unassigned."""
    fresh: Fresh | None = None
    region: Region | None = None


@final
@dataclass
class Block:
    """Statements of a `Compute` whose targets are known when the whole body is."""

    targets: list[str]
    statements: list[ast.stmt]
    at: ast.AST
    uncertain: dict[str, str] = field(default_factory=dict[str, str])
    """The variables that may be left unassigned, by target."""
    kept: dict[str, ast.stmt] = field(default_factory=dict[str, ast.stmt])
    """What gives a target the value before the statements, which may leave it as it is, if it is read."""


@final
@dataclass(frozen=True)
class State:
    """What `Steps` know at some point."""

    num_nodes: int
    bindings: dict[str, Binding]
    used: frozenset[str]
    captured: dict[str, ast.AST]


@final
class Steps:
    """Collects the steps of one function."""

    def __init__(self, source: Source, surface: Surface) -> None:
        self.source = source
        self.surface = surface
        self.locals = {argument.arg for argument in parameters(source.node.args)}.union(
            bound_names(source.node.body)
        )
        self.helpers = dict[str, Any]()
        self.nodes: list[Node | Block] = []
        self.bindings = dict[str, Binding]()
        self.run: list[Region] = []
        self._used = frozenset[str]()
        self._reserved = all_names(source.node) | bound_anywhere(source.node)
        self._captured = dict[str, ast.AST]()
        self._bound = Bound(source.function.__name__, source.file)
        self._unchanging = Unchanging(source.function.__name__, source.file)

    def add(self, node: Node | Block) -> None:
        """Add a step; statements before a traced call cannot be merged with those after it."""
        self.nodes.append(node)
        if isinstance(node, Visit | Parameter):
            self.run.clear()

    def define(self, identifier: str, at: ast.AST, *, is_certain: bool = True) -> str:
        """Make a new version of a variable of the source, and return its name."""
        closure = self._captured.get(identifier)
        if closure is not None:
            self.refuse_capture(identifier, closure, at)
        made = self._unused(identifier, allowed=identifier)
        self.bindings[identifier] = Binding(made, is_certain)
        return made

    def describe(self, identifier: str, fresh: Fresh | None, region: Region) -> None:
        """Say what the current version of a variable is known to hold, and who made it."""
        self.bindings[identifier] = replace(self.bindings[identifier], fresh=fresh, region=region)

    def temporary(self, hint: str) -> str:
        """Make a variable that the source does not have, and return its name."""
        return self._unused(f"_{re.sub(r'[^0-9A-Za-z_]', '_', hint).strip('_') or 'value'}")

    def own_name(self, hint: str) -> str:
        """Make a name for a local variable that the source does not have, and return it."""
        made = self.temporary(hint)
        self._used -= {made}
        self.locals.add(made)
        return made

    def read(self, node: ast.Name) -> ast.expr:
        """Return what a name of the source stands for now."""
        if node.id not in self.locals:
            return node
        binding = self.bindings.get(node.id)
        if binding is None:
            self.source.refuse(
                node,
                f"`{node.id}` is read before anything is assigned to it.",
                f"A name that is assigned in a function is local to it: assign `{node.id}` first, or choose "
                f"another name for the local variable.",
            )
        read = variable(binding.variable, node)
        if binding.is_certain:
            return read
        facts = [ast.Constant(node.id), ast.Constant(self.source.place(node).line)]
        return ast.copy_location(ast.Call(self.helper("bound", self._bound), [read, *facts], []), node)

    def unchanging(self, node: ast.AST, identifier: str, value: ast.expr, op: ast.operator) -> ast.expr:
        """Return `value`, checked to be immutable when it is evaluated."""
        symbol = ast.unparse(ast.BinOp(ast.Constant(0), op, ast.Constant(0)))[1:-1].strip()
        facts = [ast.Constant(fact) for fact in (identifier, symbol, self.source.place(node).line)]
        checked = ast.Call(self.helper("unchanging", self._unchanging), [value, *facts], [])
        return ast.copy_location(checked, node)

    def unbound(self) -> ast.expr:
        """Return the value of variables that were not assigned."""
        return self.helper("UNBOUND", UNBOUND)

    def helper(self, hint: str, value: object) -> ast.Name:
        """Return a name under which the steps find an object of ours."""
        made = f"_{hint}"
        while made in self._reserved:
            made = f"_{made}"
        self.helpers[made] = value
        return ast.Name(made, ast.Load())

    def expression(self, tree: ast.expr, at: ast.AST) -> Expression:
        """Return a tree whose variables were read as an expression."""
        return Expression(self.text(tree, at), reads_of(tree))

    def compute(self, target: str, tree: ast.expr, at: ast.AST) -> None:
        """Add a step that assigns an expression."""
        self.add(Compute((target,), self.expression(tree, at), self.source.place(at)))

    def text(self, tree: ast.AST, at: ast.AST) -> str:
        """Return the source of a tree."""
        try:
            return ast.unparse(ast.fix_missing_locations(tree))
        except ValueError as error:
            self.source.refuse(at, f"This cannot be written out again ({error}).", "Use simpler quotes.")

    def capture(self, identifier: str, closure: ast.AST) -> None:
        """Note that a nested function reads a variable when it is called, so it must not change."""
        self._captured.setdefault(identifier, closure)

    def refuse_capture(self, identifier: str, closure: ast.AST, at: ast.AST) -> NoReturn:
        """Refuse a function that reads a variable which is assigned again."""
        line = self.source.place(at).line
        self.source.refuse(
            closure,
            f"This function reads `{identifier}` when it is called, and `{identifier}` is assigned again on "
            f"line {line}.",
            f"Give the later value another name, or pass it in: "
            f"`lambda ..., {identifier}={identifier}: ...`.",
        )

    def state(self) -> State:
        """Return the present state."""
        return State(len(self.nodes), dict(self.bindings), self._used, dict(self._captured))

    def return_to(self, state: State) -> None:
        """Undo what was done since `state`."""
        del self.nodes[state.num_nodes :]
        self.bindings, self._used, self._captured = dict(state.bindings), state.used, dict(state.captured)
        self.run = [region for region in self.run if region.before.num_nodes < state.num_nodes]

    def finished(self, result: Expression) -> tuple[Node, ...]:
        """Return the steps, each block with those targets that something reads."""
        wanted, nodes = set(result.reads), list[Node]()
        for node in reversed(self.nodes):
            closed = self._closed(node, wanted) if isinstance(node, Block) else node
            wanted.update(closed.reads)
            nodes.append(closed)
        return tuple(reversed(nodes))

    def _closed(self, block: Block, wanted: set[str]) -> Compute:
        targets = [target for target in block.targets if target in wanted]
        starts = [block.kept[target] for target in targets if target in block.kept]
        endings = [self._ending(target) for target in targets if target in block.uncertain]
        tree = ast.Module([*starts, *block.statements, *endings], [])
        body = Expression(self.text(tree, block.at), reads_of(tree))
        return Compute(tuple(targets), body, self.source.place(block.at), is_expression=False)

    def _ending(self, target: str) -> ast.stmt:
        load, store = ast.Name(target, ast.Load()), ast.Name(target, ast.Store())
        otherwise = ast.Assign([store], self.unbound())
        handler = ast.ExceptHandler(ast.Name("NameError", ast.Load()), None, [otherwise])
        return ast.Try([ast.Expr(load)], [handler], [], [])

    def _unused(self, stem: str, allowed: str | None = None) -> str:
        made, count = stem, 1
        while made in self._used or (made in self._reserved and made != allowed) or keyword.iskeyword(made):
            count += 1
            made = f"{stem}_{count}"
        self._used |= {made}
        return made
