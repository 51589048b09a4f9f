"""What the body of a function reaches from outside: its closure, globals, defaults, and its object.

Modules and callees are found here before a model first runs, and this is where they get their names.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, NamedTuple, TypeAlias

from torch import nn


class Link(NamedTuple):
    """A name, and the value that it stands for."""

    name: str
    value: Any


Captured: TypeAlias = "tuple[Link, ...]"
"""What `net.encoder` names: the value of `net`, then of its attribute, as far as they exist.

The object that a method is bound to has the name "".
"""


def captured_by(source: Callable[..., Any]) -> Iterator[Captured]:
    """Yield what a function, and the helpers that it calls, reach from outside, in the order of the code.

    Helpers are functions of the same module, and methods of captured objects. Values are looked up and
    never computed: properties do not run.
    """
    waiting: list[Any] = [source]
    seen = set[tuple[CodeType, int]]()
    for function in waiting:
        instance = function.__self__ if isinstance(function, MethodType) else _UNKNOWN
        plain = function.__func__ if isinstance(function, MethodType) else function
        if not isinstance(plain, FunctionType) or (plain.__code__, id(instance)) in seen:
            continue
        seen.add((plain.__code__, id(instance)))
        if hasattr(plain, "__wrapped__"):
            waiting.append(plain.__wrapped__)
        for chain in _chains(plain, instance):
            yield chain
            last = chain[-1].value
            if isinstance(last, nn.Module) and not chain[-1].name:  # as in `self(x)`
                last = _attribute(last, "forward")
            if _is_helper(last, plain):
                waiting.append(last)


def _chains(function: FunctionType, instance: object) -> Iterator[Captured]:
    scopes: dict[str, dict[str, Any]] = {
        "global": function.__globals__,
        "closure": _closure_of(function),
        "local": {},
    }
    this = function.__code__.co_varnames[:1] if instance is not _UNKNOWN else ()
    for name in this:
        scopes["local"][name] = scopes["closure"][name] = instance
    for scope, names in _references(function.__code__):
        value = scopes[scope].get(names[0], _UNKNOWN)
        if value is not _UNKNOWN:
            first = Link("" if scope != "global" and names[0] in this else names[0], value)
            yield _followed(first, names[1:])
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    for name, value in zip(positional[len(positional) - len(defaults) :], defaults, strict=True):
        yield (Link(name, value),)
    for name, value in (function.__kwdefaults__ or {}).items():
        yield (Link(name, value),)


def _closure_of(function: FunctionType) -> dict[str, Any]:
    values = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return values


def _references(code: CodeType, nested: bool = False) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the variables that code loads, each with the attributes taken from it, and their scope."""
    scopes = ("global", "closure") if nested else ("global", "closure", "local")
    scope, names = "", list[str]()
    for instruction in dis.get_instructions(code):
        if names and instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            names.append(instruction.argval)
            continue
        if names:
            yield scope, tuple(names)
        scope = next((found for prefix, found in _LOADS.items() if instruction.opname.startswith(prefix)), "")
        # Newer versions of Python load two local variables at once.
        loaded = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        names = [str(loaded[-1])] if scope in scopes else []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _references(constant, nested=True)


def _followed(first: Link, attributes: tuple[str, ...]) -> Captured:
    chain = [first]
    for name in attributes:
        value = _attribute(chain[-1].value, name)
        if value is _UNKNOWN:
            break
        chain.append(Link(name, value))
    return tuple(chain)


def _attribute(value: Any, name: str) -> Any:
    """Look an attribute up without running anybody's code."""
    own: dict[str, Any] = getattr(value, "__dict__", {})
    tables = [own[table] for table in _TABLES] if isinstance(value, nn.Module) else []
    for table in (*tables, own):
        if name in table:
            return table[name]
    for kind in value.__mro__ if isinstance(value, type) else type(value).__mro__:
        if name in kind.__dict__:
            return _bound(kind.__dict__[name], value)
    return _UNKNOWN


def _bound(found: Any, value: Any) -> Any:
    if isinstance(found, property):
        return MethodType(found.fget, value) if found.fget is not None else _UNKNOWN
    if isinstance(found, staticmethod | classmethod):
        return found.__func__
    if isinstance(found, FunctionType):
        return MethodType(found, value)
    is_ours = getattr(type(found), "is_generative_function", False)
    if isinstance(found, MemberDescriptorType) or (is_ours and hasattr(type(found), "__get__")):
        try:
            return found.__get__(value, type(value))
        except AttributeError:  # a slot that holds nothing
            return _UNKNOWN
    return found


def _is_helper(value: object, caller: FunctionType) -> bool:
    if isinstance(value, MethodType):
        return value.__func__.__module__.partition(".")[0] != "torch"
    return isinstance(value, FunctionType) and value.__globals__ is caller.__globals__


_UNKNOWN = object()
_TABLES = ("_parameters", "_buffers", "_modules")
_LOADS = {"LOAD_GLOBAL": "global", "LOAD_NAME": "global", "LOAD_DEREF": "closure", "LOAD_FAST": "local"}
