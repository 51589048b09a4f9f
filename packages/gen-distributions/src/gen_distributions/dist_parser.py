"""Reading the body of a `@dist` function: one random call, and operations on its result."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import EnumType
from types import FunctionType
from typing import Any, final

import torch
from torch.distributions import constraints

from gen_core import Distribution
from gen_distributions.dist_compile import captured_cells, compile_statements
from gen_distributions.dist_steps import OPERATIONS, Operation, Sign, sign_after
from gen_distributions.errors import DistBodyError
from gen_distributions.family import TensorFamily

BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
FUNCTIONS = {math.exp: "exp(x)", torch.exp: "exp(x)", math.log: "log(x)", torch.log: "log(x)"}
METHODS = {"exp": "exp(x)", "log": "log(x)", "neg": "-x"}
LABEL = "label"


@final
@dataclass(frozen=True)
class Plan:
    """What a `@dist` function does, apart from its parameters."""

    base: Distribution[..., Any]
    operations: tuple[Operation, ...]
    has_labels: bool
    sources: Mapping[str, str]
    """The function's own parameter that is passed on as a parameter of `base`, by that one's name."""
    evaluate: Callable[..., tuple[Any, ...]]
    """Given the function's arguments, returns those of `base` (a tuple and a dict), then the other
    operand of each operation, and the labels last."""


def read_body(function: Callable[..., Any]) -> Plan:
    """Return the plan of a function.

    Raises:
        DistBodyError: The body is anything but one random call and invertible operations on its result.
    """
    if not isinstance(function, FunctionType):
        raise DistBodyError(repr(function), "only a function written with `def` can be read")
    return _Reader(function).plan()


@dataclass(frozen=True)
class _Random:
    """An expression that depends on the random value: the operations so far."""

    keys: tuple[str, ...]


@final
class _Reader:
    """Reads one function. State is what the statements before the current one have defined."""

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.file = function.__code__.co_filename
        self.definition = self._parse()
        arguments = self.definition.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        self.locals = {argument.arg for argument in every}
        self.parameters = frozenset(self.locals)
        self.sources: dict[str, str] = {}
        self.locals |= {extra.arg for extra in (arguments.vararg, arguments.kwarg) if extra}
        self.random: dict[str, _Random] = {}
        self.base: Distribution[..., Any] | None = None
        self.statements: list[ast.stmt] = []

    def plan(self) -> Plan:
        """Return the plan."""
        body = list(self.definition.body)
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            del body[0]
        for statement in body[:-1]:
            self._assignment(statement)
        last = body[-1] if body else self.definition
        if not isinstance(last, ast.Return) or last.value is None:
            raise self._error(last, "the last statement must return the random value")
        result = self._read(last.value)
        if self.base is None:
            raise self._error(last, "there is no random call, such as `normal.sample(mu, sigma)`")
        if result is None:
            raise self._error(last, "what is returned does not depend on the random call")
        self._check_signs(result, last)
        keys = result.keys
        operations = tuple(OPERATIONS[key] for key in keys if key != LABEL)
        names = ["_gen_args", "_gen_kwargs", *(f"_gen_operand_{i}" for i in range(len(keys)))]
        evaluate = compile_statements(self.function, self.definition.args, self.statements, names)
        return Plan(self.base, operations, LABEL in keys, self.sources, evaluate)

    # Statements.

    def _assignment(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            raise self._error(statement, "only assignments to a name may come before the `return`")
        if not isinstance(target, ast.Name):
            raise self._error(statement, "only assignments to a name may come before the `return`")
        read = self._read(value)
        self.random.pop(target.id, None)
        self.locals.add(target.id)
        if read is None:
            self.statements.append(ast.Assign([target], value))
        else:
            self.random[target.id] = read

    # Expressions. Each returns None for what does not depend on the random value.

    def _read(self, node: ast.expr) -> _Random | None:
        if not self._depends(node):
            return None
        if isinstance(node, ast.Name):
            return self.random[node.id]
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            return self._binary(node, BINARY[type(node.op)])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            return self._read(node.operand)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self._apply("-x", node.operand, node)
        if isinstance(node, ast.Subscript):
            if self._depends(node.value):
                raise self._error(node, "the random value cannot be indexed")
            return self._apply(LABEL, node.slice, node, node.value)
        raise self._error(
            node, "only +, -, *, /, **, exp, log and label lookup may be applied to the random value"
        )

    def _call(self, node: ast.Call) -> _Random:
        drawn = self._drawn(node)
        if drawn is not None:
            return self._draw(node, *drawn)
        method = node.func if isinstance(node.func, ast.Attribute) and not node.args else None
        if method and method.attr in METHODS and self._depends(method.value):
            return self._apply(METHODS[method.attr], method.value, node)
        function = self._resolve(node.func)
        if len(node.args) == 1 and not node.keywords:
            if isinstance(function, EnumType):
                return self._apply(LABEL, node.args[0], node, _members(node.func))
            for known, key in FUNCTIONS.items():
                if function is known:
                    return self._apply(key, node.args[0], node)
        raise self._error(
            node, f"`{ast.unparse(node.func)}` cannot be applied to the random value; exp and log can"
        )

    def _binary(self, node: ast.BinOp, symbol: str) -> _Random:
        if self._depends(node.left) and self._depends(node.right):
            raise self._error(
                node, "both operands depend on a random value; the other one must be deterministic"
            )
        if self._depends(node.left):
            return self._apply(f"x {symbol} c", node.left, node, node.right)
        return self._apply(f"c {symbol} x", node.right, node, node.left)

    def _apply(self, key: str, inner: ast.expr, node: ast.expr, operand: ast.expr | None = None) -> _Random:
        before = self._read(inner)
        assert before is not None
        if LABEL in before.keys:
            raise self._error(node, "nothing can be applied to a label")
        # Evaluated here, since the names in it may mean something else further down.
        self._store(f"_gen_operand_{len(before.keys)}", ast.Constant(None) if operand is None else operand)
        return _Random((*before.keys, key))

    # The random call.

    def _draw(self, node: ast.Call, base: Distribution[..., Any], call: ast.Call) -> _Random:
        if self.base is not None:
            raise self._error(node, "there is a second random call; a distribution makes exactly one")
        if any(self._depends(part) for part in [*call.args, *(k.value for k in call.keywords)]):
            raise self._error(node, "a random value is a parameter of another random call")
        self.base = base
        self.sources = {
            name: part.id
            for name, part in [
                *zip(base.signature.parameters, call.args, strict=False),
                *((keyword.arg, keyword.value) for keyword in call.keywords),
            ]
            if name and isinstance(part, ast.Name) and part.id in self.parameters
        }
        self._store("_gen_args", ast.Tuple(call.args, ast.Load()))
        names: list[ast.expr | None] = [None if k.arg is None else ast.Constant(k.arg) for k in call.keywords]
        self._store("_gen_kwargs", ast.Dict(names, [k.value for k in call.keywords]))
        return _Random(())

    def _drawn(self, node: ast.Call) -> tuple[Distribution[..., Any], ast.Call] | None:
        """Return the distribution and the arguments of `d(...)`, `d.sample(...)` or `d(...).sample()`."""
        found = self._resolve(node.func)
        if isinstance(found, Distribution):
            return found, node
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in ("sample", "rsample"):
            return None
        owner = self._resolve(node.func.value)
        if isinstance(owner, Distribution):
            return owner, node
        if isinstance(node.func.value, ast.Call) and not node.args:
            return self._drawn(node.func.value)
        return None

    def _depends(self, node: ast.AST) -> bool:
        return any(
            (isinstance(part, ast.Name) and part.id in self.random)
            or (isinstance(part, ast.Call) and self._drawn(part) is not None)
            for part in ast.walk(node)
        )

    def _resolve(self, node: ast.expr) -> Any:
        """Return the object that a dotted name means outside the body, None if it means none."""
        if isinstance(node, ast.Attribute):
            owner = self._resolve(node.value)
            return None if owner is None else inspect.getattr_static(owner, node.attr, None)
        if not isinstance(node, ast.Name) or node.id in self.locals:
            return None
        captured = captured_cells(self.function)
        if node.id in captured:
            try:
                return captured[node.id].cell_contents
            except ValueError:  # not assigned yet
                return None
        return self.function.__globals__.get(node.id, getattr(builtins, node.id, None))

    def _check_signs(self, result: _Random, node: ast.stmt) -> None:
        assert self.base is not None
        if LABEL in result.keys and not self.base.is_enumerable:
            raise self._error(
                node, f"labels need a distribution over finitely many integers, not {self.base.name}"
            )
        sign = _sign_of(self.base)
        for key in result.keys:
            if key == LABEL:
                return
            if OPERATIONS[key].needs_positive and sign is Sign.ANY:
                raise self._error(node, f"{key} needs a positive random value, and this one may be negative")
            if key == "x ** c" and self.base.is_discrete:
                raise self._error(node, "a power of a discrete random value may take several values to one")
            sign = sign_after(OPERATIONS[key], sign)

    # The function that evaluates everything deterministic.

    def _store(self, name: str, value: ast.expr) -> None:
        self.statements.append(ast.Assign([ast.Name(name, ast.Store())], value))

    def _parse(self) -> ast.FunctionDef:
        try:
            source = textwrap.dedent(inspect.getsource(self.function))
        except OSError:
            raise DistBodyError(self.function.__qualname__, "its source code cannot be found") from None
        tree = ast.parse(source)
        ast.increment_lineno(tree, self.function.__code__.co_firstlineno - 1)
        definition = tree.body[0]
        if not isinstance(definition, ast.FunctionDef):
            raise DistBodyError(self.function.__qualname__, "only a function written with `def` can be read")
        return definition

    def _error(self, node: ast.AST, why: str) -> DistBodyError:
        line = getattr(node, "lineno", self.function.__code__.co_firstlineno)
        return DistBodyError(self.function.__qualname__, why, f"{self.file}:{line}")


def _sign_of(base: Distribution[..., Any]) -> Sign:
    family = base.family
    if not isinstance(family, TensorFamily) or type(family).support is not TensorFamily.support:
        return Sign.UNKNOWN
    known_positive = (constraints.positive, constraints.nonnegative, constraints.unit_interval)
    if any(family.fixed_support is constraint for constraint in known_positive):
        return Sign.POSITIVE
    return Sign.ANY if family.fixed_support is constraints.real else Sign.UNKNOWN


def _members(enumeration: ast.expr) -> ast.expr:
    """Return the expression `{member.value: member for member in enumeration}`."""
    expression = ast.parse(f"{{m.value: m for m in {ast.unparse(enumeration)}}}", mode="eval")
    return expression.body
