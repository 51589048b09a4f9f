"""Reads the body of a function, statement by statement, into the steps of a graph."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, final

from gen_sml.front.blocks import add_block, unpack
from gen_sml.front.changes import Changes
from gen_sml.front.closures import closures
from gen_sml.front.constructs import refuse_event
from gen_sml.front.forbidden import refuse_forbidden
from gen_sml.front.fresh import augmented_names, bindings_of
from gen_sml.front.lift import Lifter
from gen_sml.front.names import bound_names, name, parameters, variable
from gen_sml.front.source import Source
from gen_sml.front.steps import Block, Region, Steps
from gen_sml.front.surface import Surface
from gen_sml.graph import Argument, Expression, Node


@final
@dataclass(frozen=True)
class Body:
    """What a function does: its steps in order, and the expression that it returns.

    Attributes:
        helpers: Objects of ours that the steps refer to, by name.
    """

    nodes: tuple[Node, ...]
    result: Expression
    helpers: Mapping[str, Any]


def read_body(source: Source) -> Body:
    """Turn the body of a function into steps.

    Raises:
        StaticSyntaxError: It has a part for which there is no step.
    """
    reader = _Reader(source)
    result = reader.read()
    return Body(reader.steps.finished(result), result, reader.steps.helpers)


@final
class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.surface = Surface(source)
        refuse_forbidden(source, self.surface)
        self.steps = Steps(source, self.surface)
        self.lifter = Lifter(self.steps)
        self.changes = Changes(self.steps)

    def read(self) -> Expression:
        for argument in parameters(self.source.node.args):
            variable_name = self.steps.define(argument.arg, argument)
            self.steps.add(Argument(variable_name, self.source.place(argument)))
        last = self.source.node.body[-1]
        for statement in self.source.node.body:
            if not isinstance(statement, ast.Return):
                self.statement(statement)
        if isinstance(last, ast.Return) and last.value is not None:
            return self.result(last, last.value)
        return Expression("None")

    def result(self, node: ast.Return, value: ast.expr) -> Expression:
        if not self.lifter.has_conditional_walrus(value) and self.changes.judge([node]) is None:
            return self.steps.expression(self.lifter.lift(value), value)
        kept = self.steps.own_name("result")
        assign = ast.Assign([name(kept, node, store=True)], value)
        self.statement(ast.copy_location(assign, node))
        return self.steps.expression(self.steps.read(name(kept, node)), value)

    def statement(self, node: ast.stmt) -> None:
        is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Pass) or is_constant or (isinstance(node, ast.AnnAssign) and not node.value):
            return
        node = self.without_head(node)
        maker = self.changes.judge([node])
        is_simple = isinstance(node, _SIMPLE) and not self.lifter.has_conditional_walrus(node)
        if self.surface.has_event(node) and is_simple:
            if maker is not None:
                self.changes.refuse_mixed(node)
            self.simple(node)
            self.steps.run.clear()
            self.note_closures(node, is_simple)
        else:
            self.deterministic(node, maker, is_simple)

    def without_head(self, node: ast.stmt) -> ast.stmt:
        """Lift traced calls out of what `if`, `for` and `match` evaluate once, before anything else."""
        head = next((head for kind, head in _HEADS.items() if isinstance(node, kind)), None)
        if head is None or not self.surface.has_event(getattr(node, head)):
            return node
        value: ast.expr = getattr(node, head)
        kept = self.steps.own_name(head)
        assign = ast.Assign([name(kept, value, store=True)], value)
        self.statement(ast.copy_location(assign, value))
        bare = copy(node)
        setattr(bare, head, name(kept, value))
        return bare

    def deterministic(self, node: ast.stmt, maker: Region | None, is_simple: bool) -> None:
        """Add a statement without traced calls, together with those that made what it changes."""
        statements, before = [node], self.steps.state()
        if maker is not None:
            first = self.steps.run.index(maker)
            statements = [*(each for region in self.steps.run[first:] for each in region.statements), node]
            before = maker.before
            self.steps.return_to(before)
        region = Region(statements, before)
        if maker is None and is_simple:
            self.simple(node)
        else:
            add_block(self.steps, statements)
        self.steps.run.append(region)
        for statement in statements:
            self.note_closures(statement, maker is None and is_simple)
        self.describe(statements, region)

    def describe(self, statements: list[ast.stmt], region: Region) -> None:
        """Note which variables surely hold a constant, or an object that nobody else has."""
        augmented = augmented_names(statements)
        for identifier in bound_names(statements):
            found = set(bindings_of(identifier, statements))
            if found == {"object"}:
                self.steps.describe(identifier, "object", region)
            elif found == {"constant"} and identifier not in augmented:
                self.steps.describe(identifier, "constant", region)

    def simple(self, node: ast.stmt) -> None:
        """Add a statement whose parts Python evaluates once each, in order."""
        if isinstance(node, ast.Expr):
            self.evaluate(node.value)
        elif isinstance(node, ast.Assign):
            self.assign(node.targets, node.value, node)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign([node.target], node.value, node)
        elif isinstance(node, ast.AugAssign):
            self.augment(node)
        elif isinstance(node, ast.Assert):
            self.check(node)

    def evaluate(self, value: ast.expr) -> None:
        lifted = self.lifter.lift(value)
        if not isinstance(lifted, ast.Name):
            self.steps.compute(self.steps.temporary("unused"), lifted, value)

    def assign(self, targets: list[ast.expr], value: ast.expr, node: ast.stmt) -> None:
        lifted = self.value(value, targets[0])
        others = targets[1:] if isinstance(targets[0], ast.Name) else targets
        if len(others) > 1 and not isinstance(lifted, ast.Name):
            kept = self.steps.temporary("value")
            self.steps.compute(kept, lifted, value)
            lifted = variable(kept, value)
        for target in others:
            if isinstance(target, ast.Name):
                self.steps.compute(self.steps.define(target.id, target), lifted, node)
            else:
                unpack(self.steps, target, lifted, node)

    def value(self, value: ast.expr, target: ast.expr) -> ast.expr:
        """Add the steps of a value, and of the first target if that is a name."""
        if not isinstance(target, ast.Name):
            return self.lifter.lift(value)

        def define() -> str:
            return self.steps.define(target.id, target)

        if self.surface.is_event(value):
            return self.lifter.event(value, define)
        lifted = self.lifter.lift(value)
        made = define()
        self.steps.compute(made, lifted, value)
        return variable(made, value)

    def augment(self, node: ast.AugAssign) -> None:
        target = node.target
        assert isinstance(target, ast.Name), "other targets are changes in place"
        left = self.steps.unchanging(node, target.id, self.steps.read(name(target.id, target)), node.op)
        right = self.lifter.lift(node.value)
        self.steps.compute(self.steps.define(target.id, target), ast.BinOp(left, node.op, right), node)

    def check(self, node: ast.Assert) -> None:
        if node.msg is not None and self.surface.has_event(node.msg):
            refuse_event(self.steps, node, node.msg)
        test = self.lifter.lift(node.test)
        message = self.lifter.plain(node.msg) if node.msg else None
        self.steps.add(Block([], [ast.Assert(test, message)], node))

    def note_closures(self, node: ast.stmt, is_simple: bool) -> None:
        """Hold on to the variables that functions made by a statement read when they are called."""
        own = set(bound_names([node]))
        for closure in closures(node):
            for identifier in closure.reads & self.steps.locals:
                if is_simple and identifier in own and not closure.is_passed:
                    self.steps.refuse_capture(identifier, closure.node, node)
                if not (is_simple and identifier in own):
                    self.steps.capture(identifier, closure.node)


_HEADS: Final[dict[type[ast.stmt], str]] = {ast.If: "test", ast.For: "iter", ast.Match: "subject"}
_SIMPLE: Final = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Assert)
