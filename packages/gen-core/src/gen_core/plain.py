"""Values as plain data and back: what `torch.load(..., weights_only=True)` accepts.

Numbers, strings, None, tensors, lists, tuples and sets stay what they are. Everything else becomes a dict
with the key `kind`: classes, functions and generative functions by name, never their code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from enum import Enum
from types import FunctionType
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from gen_core.arguments import NO_KWARGS
from gen_core.call import Call
from gen_core.choicemap import ChoiceMap
from gen_core.choicemap_build import from_paths
from gen_core.distribution import Distribution
from gen_core.interface import GenerativeFunction
from gen_core.parameters import PARAMETERS
from gen_core.plugin_errors import UnknownNameError
from gen_core.plugins import plugins
from gen_core.reference import find, is_found, reference_of
from gen_core.saving_errors import NoReferenceError, UnsavableError
from gen_core.structure import dataclass_state, with_dataclass_state


def from_plain(data: Any) -> Any:
    """Return the value that `Writer.plain` turned into `data`.

    Raises:
        MissingReferenceError: A class or a function that it names does not exist.
        UnknownNameError: No plugin provides a distribution that it names.
    """
    if isinstance(data, list | tuple | set):
        return type(data)(map(from_plain, data))
    if isinstance(data, dict):
        return _READERS[data["kind"]](data)
    return data


@final
class Writer:
    """Turns the values of one file into plain data; a tensor that occurs many times stays one."""

    def __init__(self) -> None:
        self._tensors: dict[int, tuple[Tensor, Tensor]] = {}

    def plain(self, value: Any, where: str) -> Any:
        """Return `value` as plain data.

        Args:
            value: What is to be saved.
            where: What it is, for messages: "the argument `xs` of line".

        Raises:
            UnsavableError: It, or something in it, cannot be saved; names the place.
            NoReferenceError: A generative function in it has no importable name.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, Tensor):
            return self._tensor(value)
        if kind is list or kind is tuple:
            return kind(self.plain(part, f"{where}[{i}]") for i, part in enumerate(value))
        if kind is set and all(type(part) in _PLAIN for part in value):
            return value
        if kind is dict:
            return {"kind": "dict", "items": self._items(value, where)}
        return self._object(value, where)

    def _object(self, value: Any, where: str) -> dict[str, Any]:
        kind = type(value)
        known = next((ancestor for ancestor in kind.__mro__ if ancestor in plugins.values), None)
        if known is not None:
            state = self.plain(plugins.values[known].to_state(value), where)
            return {"kind": "foreign", "class": self._name(known, where), "state": state}
        if isinstance(value, np.ndarray | np.generic):
            return _array(value, where)
        if isinstance(value, GenerativeFunction):
            return self._generative_function(value, where)
        if isinstance(value, Call):
            return self._call(value, where)
        if isinstance(value, ChoiceMap):
            leaves = [[list(path), self.plain(leaf, f"{where}[{path!r}]")] for path, leaf in value.leaves()]
            return {"kind": "choices", "leaves": leaves}
        if isinstance(value, Enum):
            return {"kind": "enum", "class": self._name(kind, where), "name": value.name}
        if isinstance(value, range | slice):
            return {"kind": kind.__name__, "parts": [value.start, value.stop, value.step]}
        if isinstance(value, frozenset):
            return {"kind": "frozenset", "items": [self.plain(part, where) for part in value]}
        if isinstance(value, type | FunctionType):
            return {"kind": "named", "name": self._name(value, where)}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            parts = self._attributes(dict(zip(value._fields, value, strict=True)), where)
            return {"kind": "namedtuple", "class": self._name(kind, where), "parts": list(parts.values())}
        if is_dataclass(kind) and not isinstance(value, nn.Module):
            state = {name: part for name, part in dataclass_state(value).items() if name != PARAMETERS}
            fields = self._attributes(state, where)
            return {"kind": "dataclass", "class": self._name(kind, where), "fields": fields}
        raise UnsavableError(where, value)

    def _tensor(self, tensor: Tensor) -> Tensor:
        known = self._tensors.get(id(tensor))
        if known is None:
            # A view would take the whole storage with it, and the graph behind it.
            known = self._tensors[id(tensor)] = tensor, tensor.detach().clone()
        return known[1]

    def _items(self, value: Mapping[Any, Any], where: str) -> list[tuple[Any, Any]]:
        return [
            (self.plain(k, f"a key of {where}"), self.plain(v, f"{where}[{k!r}]")) for k, v in value.items()
        ]

    def _attributes(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {name: self.plain(part, f"{where}.{name}") for name, part in values.items()}

    def _call(self, call: Call[Any], where: str) -> dict[str, Any]:
        return {
            "kind": "call",
            "gen_fn": self.plain(call.gen_fn, where),
            "args": self.plain(call.args, where),
            "kwargs": self._attributes(call.kwargs, where),
        }

    def _generative_function(self, gen_fn: GenerativeFunction[..., Any], where: str) -> dict[str, Any]:
        if isinstance(gen_fn, Distribution):
            name = gen_fn.family.name
            if name in plugins.distributions and _is_of_plugin(gen_fn, name):
                return {"kind": "distribution", "name": name}
        reference = gen_fn.reference
        if reference is not None and is_found(reference, gen_fn):
            return {"kind": "named", "name": reference}
        if isinstance(gen_fn, Distribution) and is_dataclass(type(gen_fn.family)):
            return {"kind": "family", "family": self.plain(gen_fn.family, where)}
        raise NoReferenceError(gen_fn.name, reference, where)

    def _name(self, value: Any, where: str) -> str:
        reference = reference_of(value)
        if not is_found(reference, value):
            raise UnsavableError(where, value, f"nothing can import it as {reference}")
        return reference


def _is_of_plugin(distribution: Distribution[..., Any], name: str) -> bool:
    try:
        return plugins.distribution(name) == distribution
    except LookupError:  # two plugins provide it
        return False


def _array(value: Any, where: str) -> dict[str, Any]:
    array = np.asarray(value)
    if array.dtype.hasobject or array.dtype.names:
        raise UnsavableError(where, value, f"its dtype is {array.dtype}")
    data = torch.from_numpy(np.frombuffer(array.tobytes(), np.uint8).copy())
    return {
        "kind": "array",
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "data": data,
        "is_scalar": isinstance(value, np.generic),
    }


def _read_array(data: Any) -> Any:
    array = np.frombuffer(data["data"].numpy().tobytes(), np.dtype(data["dtype"])).reshape(data["shape"])
    return array[()] if data["is_scalar"] else array.copy()


def _read_distribution(data: Any) -> Any:
    return plugins.distribution(data["name"])


def _read_call(data: Any) -> Any:
    kwargs = {name: from_plain(value) for name, value in data["kwargs"].items()}
    return Call(from_plain(data["gen_fn"]), from_plain(data["args"]), kwargs or NO_KWARGS)


def _read_dataclass(data: Any) -> Any:
    return with_dataclass_state(
        _class(data), {name: from_plain(part) for name, part in data["fields"].items()}
    )


def _read_foreign(data: Any) -> Any:
    kind = _class(data)
    codec = plugins.values.get(kind)
    if codec is None:
        raise UnknownNameError("codec of values", data["class"], [], plugins.broken)
    return codec.from_state(from_plain(data["state"]))


def _class(data: Any) -> Any:
    return find(data["class"])


_PLAIN = frozenset({int, float, bool, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size})

_READERS: Mapping[str, Callable[[Any], Any]] = {
    "array": _read_array,
    "call": _read_call,
    "choices": lambda data: from_paths((tuple(path), from_plain(leaf)) for path, leaf in data["leaves"]),
    "dataclass": _read_dataclass,
    "dict": lambda data: {from_plain(key): from_plain(value) for key, value in data["items"]},
    "distribution": _read_distribution,
    "enum": lambda data: _class(data)[data["name"]],
    "family": lambda data: Distribution(from_plain(data["family"])),
    "foreign": _read_foreign,
    "frozenset": lambda data: frozenset(map(from_plain, data["items"])),
    "named": lambda data: find(data["name"]),
    "namedtuple": lambda data: _class(data)(*map(from_plain, data["parts"])),
    "range": lambda data: range(*data["parts"]),
    "slice": lambda data: slice(*data["parts"]),
}
