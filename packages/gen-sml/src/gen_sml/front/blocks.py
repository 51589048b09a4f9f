"""Statements without traced calls, as one step that assigns several variables."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, TypeAlias, final

from gen_sml.front.constructs import refuse_event
from gen_sml.front.flow import definitely_assigned, may_read
from gen_sml.front.fresh import augmented_names, bindings_of
from gen_sml.front.names import FUNCTIONS, bound_names, name, rename, variable
from gen_sml.front.steps import Binding, Block, Steps

Check: TypeAlias = Literal["never", "at entry", "each time"]
"""When to check that an augmented assignment does not change an object from outside in place."""


def add_block(steps: Steps, statements: Sequence[ast.stmt]) -> None:
    """Add consecutive statements as one step.

    Names that may keep the value that they had before start with it; names that may be left unassigned
    become `UNBOUND`.
    """
    for statement in statements:
        if steps.surface.has_event(statement):
            refuse_event(steps, statement)
    at, before = statements[0], dict(steps.bindings)
    augmented = augmented_names(statements)
    checks = {identifier: _check(steps, identifier, statements) for identifier in augmented}
    plain = _Plain(steps, checks)
    body = _flat([plain.visit(deepcopy(statement)) for statement in statements])
    made, uncertain = _define(steps, statements)
    certain, start, kept = definitely_assigned(statements), list[ast.stmt](), dict[str, ast.stmt]()
    for identifier, target in made.items():
        binding = before.get(identifier)
        if binding is not None and may_read(identifier, statements):
            change = augmented[identifier] if checks.get(identifier) == "at entry" else None
            start.append(_start(steps, target, identifier, binding, change, at))
        elif binding is not None and identifier not in certain:
            kept[target] = _start(steps, target, identifier, binding, None, at)
    after = dict(steps.bindings)
    steps.bindings = {**before, **{own: after[own] for own in made}}

    def read(node: ast.Name) -> ast.expr:
        return name(made[node.id], node) if node.id in made else steps.read(node)

    renamed = [
        rename(statement, read, lambda identifier: made.get(identifier, identifier)) for statement in body
    ]
    steps.add(Block(list(made.values()), [*start, *_flat(renamed)], at, uncertain, kept))


def unpack(steps: Steps, target: ast.expr, value: ast.expr, at: ast.AST) -> None:
    """Add the step of `a, (b, *c) = value`, whose value is an expression over variables."""
    made = {identifier: steps.define(identifier, at) for identifier in bound_names([target])}
    targets = rename(target, steps.read, lambda identifier: made[identifier])
    steps.add(Block(list(made.values()), [ast.Assign([targets], value)], at))


def _define(steps: Steps, statements: Sequence[ast.stmt]) -> tuple[dict[str, str], dict[str, str]]:
    """Make new versions of the names that statements bind; return them, and those that may be unbound."""
    certain, before = definitely_assigned(statements), dict(steps.bindings)
    made, uncertain = dict[str, str](), dict[str, str]()
    for identifier in bound_names(statements):
        earlier = before.get(identifier)
        is_certain = identifier in certain or (earlier is not None and earlier.is_certain)
        made[identifier] = steps.define(identifier, statements[0], is_certain=is_certain)
        if not is_certain:
            uncertain[made[identifier]] = identifier
    return made, uncertain


def _check(steps: Steps, identifier: str, statements: Sequence[ast.stmt]) -> Check:
    if None in bindings_of(identifier, statements):
        return "each time"
    binding = steps.bindings.get(identifier)
    is_outside = binding is not None and binding.fresh != "constant" and may_read(identifier, statements)
    return "at entry" if is_outside else "never"


def _start(
    steps: Steps, target: str, identifier: str, binding: Binding, change: ast.AugAssign | None, at: ast.AST
) -> ast.stmt:
    """Return the statement that gives a name the value that it had before the block."""
    read: ast.expr = variable(binding.variable, at)
    value = steps.unchanging(change, identifier, read, change.op) if change else read
    start: ast.stmt = ast.Assign([name(target, at, store=True)], value)
    if not binding.is_certain:
        start = ast.If(
            ast.Compare(variable(binding.variable, at), [ast.IsNot()], [steps.unbound()]), [start], []
        )
    return start


@final
class _Plain(ast.NodeTransformer):
    """Replaces what means something else, or nothing, outside the function that it was written in."""

    def __init__(self, steps: Steps, checks: dict[str, Check]) -> None:
        self.steps = steps
        self.checks = checks

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        # Python does not evaluate the annotations of local variables.
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        target = node.target
        if not isinstance(target, ast.Name) or self.checks.get(target.id) != "each time":
            return node
        left = self.steps.unchanging(node, target.id, name(target.id, target), node.op)
        return ast.copy_location(ast.Assign([target], ast.BinOp(left, node.op, node.value)), node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            return node
        return super().generic_visit(node)


def _flat(statements: Sequence[Any]) -> list[ast.stmt]:
    flat = list[ast.stmt]()
    for statement in statements:
        flat += statement if isinstance(statement, list) else [statement]
    return flat
