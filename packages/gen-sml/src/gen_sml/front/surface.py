"""What `@` and `param` mean in a function: which `@` visits a call, and which multiplies matrices.

`left @ right` visits a call where `right` can only be an address: a string, f-string, integer or tuple
written out, `str(...)` or text that is added or formatted, and a global or captured name that holds
`inline`, a `Key`, a string or an integer when the function is decorated. It multiplies matrices where
`left` is not a call, where the called function belongs to torch or numpy, where `left` reshapes a
tensor, as in `x.t() @ y`, or where `right` holds something else or is a transpose (`y.T`). Where the
called function is generative, every other `right` is an address too; what is left is refused.

A `Key` is read when the function is decorated: it is a declaration, and fixes where its choice is kept.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from types import BuiltinFunctionType, MethodDescriptorType, ModuleType
from typing import Any, Final, final

from gen_core import Key
from gen_core import param as gen_param
from gen_core.surface import Inline
from gen_sml.front.names import bound_anywhere
from gen_sml.front.source import Source

MISSING: Final = object()


@final
class Surface:
    """Recognises the surface syntax in one function."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._own = bound_anywhere(source.node)
        self._decided = dict[ast.AST, bool]()
        self._within = dict[ast.AST, bool]()

    def is_event(self, node: ast.AST) -> bool:
        """Whether a node is a traced call or asks for a parameter."""
        return self.is_visit(node) or self.is_param(node)

    def is_param(self, node: ast.AST) -> bool:
        """Whether a node is `param(...)`."""
        return isinstance(node, ast.Call) and self.value_of(node.func) is gen_param

    def is_visit(self, node: ast.AST) -> bool:
        """Whether a node is `call @ address`."""
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.MatMult):
            return False
        if node not in self._decided:
            self._decided[node] = self._decide(node)
        return self._decided[node]

    def has_event(self, node: ast.AST) -> bool:
        """Whether there is a traced call or parameter anywhere in a tree, nested scopes included."""
        if node not in self._within:
            children = ast.iter_child_nodes(node)
            self._within[node] = self.is_event(node) or any([self.has_event(child) for child in children])
        return self._within[node]

    def value_of(self, node: ast.expr) -> Any:
        """Return what a free name, or an attribute of one, stands for now; `MISSING` if nothing."""
        if isinstance(node, ast.Name):
            return MISSING if node.id in self._own else self._free(node.id)
        if isinstance(node, ast.Attribute):
            value = self.value_of(node.value)
            if value is MISSING:
                return MISSING
            if isinstance(value, ModuleType):
                return getattr(value, node.attr, MISSING)
            return inspect.getattr_static(value, node.attr, MISSING)
        return MISSING

    def _free(self, name: str) -> Any:
        cell = self.source.cells.get(name)
        if cell is not None:
            try:
                return cell.cell_contents
            except ValueError:  # assigned later
                return MISSING
        outside = self.source.function.__globals__
        return outside[name] if name in outside else getattr(builtins, name, MISSING)

    def _decide(self, node: ast.BinOp) -> bool:
        left, right = node.left, node.right
        value = self.value_of(right)
        if is_literal_address(right) or isinstance(value, Inline | Key | str) or _is_index(value):
            self._check_left(node)
            return True
        if isinstance(value, tuple):
            self.source.refuse(
                right,
                "A tuple under a name can be an address, but not one whose parts are known.",
                "Declare it as a key, `NAME = Key('y', 3)`, or write its parts: `@ ('y', 3)`.",
            )
        if not isinstance(left, ast.Call) or value is not MISSING or _is_transpose(right):
            return False
        callee = self.value_of(left.func)
        if getattr(type(callee), "is_generative_function", False):
            return True
        if _is_of_tensors(callee) or _is_reshaping(left.func):
            return False
        shown = ast.unparse(right)
        return self.source.refuse(
            node,
            f"`@ {shown}` may visit a call at an address or multiply matrices: what `{shown}` is, and what "
            f"`{_short(left.func)}` returns, is not known when the function is decorated.",
            f"For an address, write `@ ({shown},)`. For matrices, write `torch.matmul(..., {shown})`.",
        )

    def _check_left(self, node: ast.BinOp) -> None:
        """Refuse `2 * normal(0, 1) @ "x"`, in which `@` applies to the product."""
        if isinstance(node.left, ast.BinOp | ast.UnaryOp):
            last = node.left.right if isinstance(node.left, ast.BinOp) else node.left.operand
            self.source.refuse(
                node,
                f"Here `@ {ast.unparse(node.right)}` applies to all of `{_short(node.left)}`, because `@` "
                f"binds as `*` does.",
                f"Put the traced call in parentheses: `({_short(last)} @ {ast.unparse(node.right)})`.",
            )


def is_literal_address(node: ast.expr) -> bool:
    """Whether an expression, by its form alone, can only be an address."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        node = node.operand
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | int)
    return isinstance(node, ast.Tuple) or _is_text(node)


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, ast.Call):
        func = node.func
        formats = isinstance(func, ast.Attribute) and _is_text(func.value)
        return formats or (isinstance(func, ast.Name) and func.id in ("str", "int", "repr"))
    return False


def _is_index(value: object) -> bool:
    return isinstance(value, int)


def _is_transpose(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("T", "mT", "H", "mH")


def _is_reshaping(func: ast.expr) -> bool:
    return isinstance(func, ast.Attribute) and func.attr in _RESHAPING


def _is_of_tensors(callee: Any) -> bool:
    if isinstance(callee, BuiltinFunctionType | MethodDescriptorType):
        return True
    package = str(getattr(callee, "__module__", None) or "").partition(".")[0]
    return package in ("torch", "numpy", "scipy", "builtins") and callee is not MISSING


def _short(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else f"{text[:37]}..."


_RESHAPING: Final = frozenset(
    [
        "t",
        "transpose",
        "permute",
        "reshape",
        "view",
        "flatten",
        "unsqueeze",
        "squeeze",
        "expand",
        "contiguous",
        "clone",
        "detach",
        "inverse",
        "float",
        "double",
        "to",
        "type",
        "astype",
        "swapaxes",
        "diag",
        "tril",
        "triu",
    ]
)
