"""Loops in C++ that Inductor has written, with their buffers allocated before them, not at each step.

A step of a small loop is one fused kernel of a microsecond, and ten times as much for the allocations and
the tensor handles around it. What is known of each handle here is where its data lie, so a loop can do with
pointers: temporary results have one buffer each, and what is carried from step to step has two, which take
turns. A loop with a line of any other form than the ones below stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Final, NamedTuple, TypeVar, final

V = TypeVar("V")

MOST_BYTES: Final = 1 << 20
"""Larger buffers cost more to fill than to allocate, and are better freed early."""

_LOOP: Final = "while (1) {"
_ITEM_SIZES: Final = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "float16": 2,
    "bfloat16": 2,
    "int32": 4,
    "float32": 4,
    "int64": 8,
    "float64": 8,
}
_C_TYPES: Final = {
    "bool": "bool",
    "int64": "int64_t",
    "int32": "int32_t",
    "float32": "float",
    "float64": "double",
}

_VIEW = r"wrap_with_raii_handle_if_needed\(reinterpret_tensor_wrapper\((\w+), (\d+), (\w+), (\w+), (\d+)L\)\)"
_CHECKED = r"AOTI_TORCH_ERROR_CODE_CHECK\(%s\);"
_ARRAY = re.compile(r"static constexpr int64_t (?:\*(\w+)=nullptr|(\w+)\[\] = \{([\dL, ]*)\});")
_DECLARED = re.compile(r"AtenTensorHandle \w+_handle;|RAIIAtenTensorHandle \w+\(\w+_handle\);")
_ALLOCATED = re.compile(
    _CHECKED % r"aoti_torch_empty_strided\(\d+, (\w+), \w+, cached_torch_dtype_(\w+), "
    r"cached_torch_device_type_cpu, 0, &(\w+)_handle\)"
)
_ASSIGNED = re.compile(_CHECKED % r"aoti_torch_assign_tensors_out\((.+), &(\w+)_handle\)")
_READ = re.compile(_CHECKED % r"aoti_torch_item_(\w+)\((\w+), &(\w+)\)")
_ALIAS = re.compile(rf"auto (\w+) = {_VIEW};(?:  // \w+)?")
_RENAMED = re.compile(r"auto (\w+) = std::move\((\w+)\);(?:  // \w+)?")
_FREED = re.compile(r"\w+\.reset\(\);")
_HANDED_ON = re.compile(rf"(\w+) = std::move\((?:(\w+)|{_VIEW})\);")
_KERNEL = re.compile(r"\w+\((?:\([\w ]+\*\)\(\w+\.data_ptr\(\)\)|u\d+|, )*\);")
_DATA = re.compile(r"(\w+)\.data_ptr\(\)")
_KEPT = re.compile(
    r"// subgraph: \w+|(?:bool|int64_t) \w+;|auto u\d+ = \w+;|if \(!\w+\) break;"
    r"|if \(!\([^{}]*\)\) \{ throw [^{}]*\}"
)


def with_buffers_before_loops(code: str) -> str:
    """Return C++ with its innermost loops rewritten, where every line of theirs is understood."""
    lines = code.splitlines()
    for start, stop in reversed(list(_innermost_loops(lines))):
        body = [line.strip() for line in lines[start + 1 : stop]]
        try:
            rewritten = _Loop(_sizes_of(lines[:start])).rewrite(body)
        except _NotUnderstoodError:
            continue
        indent = lines[start][: -len(_LOOP)]
        lines[start : stop + 1] = [indent + line for line in rewritten]
    return "\n".join(lines)


class _NotUnderstoodError(Exception):
    """A line is of no form that is known."""


class _Site(NamedTuple):
    """A buffer that each step allocates."""

    declaration: str
    item_size: int


class _View(NamedTuple):
    """A part of another tensor, or all of it."""

    of: str
    arguments: str
    """Dimensions, sizes and strides; empty where the handle is the same."""
    offset: int


class _HandedOn(NamedTuple):
    """What becomes of a carried tensor after a step."""

    carried: str
    what: _View


@final
@dataclass
class _Loop:
    """A loop that is being rewritten. In the result, the data of `name` lie at the pointer `name_at`."""

    sizes: dict[str, int]
    """The product of the numbers in each array of sizes."""
    arrays: list[str] = field(default_factory=list)
    sites: dict[str, _Site] = field(default_factory=dict)
    views: dict[str, _View] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    """Handles in a step, and the tensor outside that they are of."""
    fixed: dict[str, str] = field(default_factory=dict)
    """Handles in a step of tensors that are the same in every step, by what they are."""
    handed_on: list[_HandedOn] = field(default_factory=list)
    num_bytes: int = 0
    steps: list[str] = field(default_factory=list)

    def rewrite(self, body: Sequence[str]) -> list[str]:
        """Return the loop with what comes before and after it."""
        carried = _carried_by(body)
        for line in body:
            self._take(line, carried)
        self._check()
        turning = {self._root(each.what) for each in self.handed_on} & self.sites.keys()
        return [
            "{",
            *self.arrays,
            *(line for name in self.sites for line in self._allocation(name, name in turning)),
            *(line for name, source in self.fixed.items() for line in _held(name, source)),
            *(f"char* {name}_at = static_cast<char*>({name}.data_ptr());" for name in sorted(carried)),
            "int64_t num_steps = 0;",
            _LOOP,
            *self.steps,
            "++num_steps;",
            "}",
            "if (num_steps) {",
            *(line for each in self.handed_on for line in self._result(each)),
            "}",
            "}",
        ]

    def _take(self, line: str, carried: set[str]) -> None:
        """Note what a line says, and write what is done in its place."""
        if not line or _DECLARED.fullmatch(line) or _FREED.fullmatch(line):
            return
        if found := _ARRAY.fullmatch(line):
            self.arrays.append(line)
            self.sizes |= [_size_of(found)]
        elif found := _ALLOCATED.fullmatch(line):
            self._allocate(line, found[1], found[2], found[3])
        elif found := _ASSIGNED.fullmatch(line):
            self._assign(found[1], found[2], carried)
        elif found := _READ.fullmatch(line):
            kind, source, name = found.groups()
            self.steps.append(f"{name} = *reinterpret_cast<{_known(_C_TYPES, kind)}*>({self._at(source)});")
        elif found := _ALIAS.fullmatch(line):
            name, *view = found.groups()
            self._alias(name, _view(*view))
        elif found := _RENAMED.fullmatch(line):
            self._alias(found[1], _View(found[2], "", 0))
        elif found := _HANDED_ON.fullmatch(line):
            name, same, *view = found.groups()
            self._hand_on(name, _View(same, "", 0) if same else _view(*view), carried)
        elif _KERNEL.fullmatch(line):
            self.steps.append(_DATA.sub(self._data, line))
        elif _KEPT.fullmatch(line):
            self.steps.append(line)
        else:
            raise _NotUnderstoodError(line)

    def _allocate(self, line: str, size: str, kind: str, name: str) -> None:
        item_size = _known(_ITEM_SIZES, kind)
        self.num_bytes += _known(self.sizes, size) * item_size
        self.sites[name] = _Site(line, item_size)
        self.steps.append(f"char* {name}_at = {name}_in[num_steps & 1];")

    def _assign(self, source: str, name: str, carried: set[str]) -> None:
        if source in carried:
            self.carried[name] = source
            self.steps.append(f"char* {name}_at = {source}_at;")
        elif {*re.findall(r"\w+", source)} & {*carried, *self._local}:
            raise _NotUnderstoodError(source)
        else:
            self.fixed[name] = source

    def _alias(self, name: str, view: _View) -> None:
        self.views[name] = view
        self.steps.append(f"char* {name}_at = {self._place(view)};")

    def _hand_on(self, name: str, what: _View, carried: set[str]) -> None:
        if name in carried:
            self.handed_on.append(_HandedOn(name, what))
            self.steps.append(f"{name}_at = {self._place(what)};")
        else:  # what says whether to go on
            self._alias(name, what)

    def _place(self, view: _View) -> str:
        at = self._at(view.of)
        if not view.offset:
            return at
        return f"{at} + {view.offset * _known(self.sites, self._root(view)).item_size}"

    def _at(self, name: str) -> str:
        if name not in self._local:
            raise _NotUnderstoodError(name)
        return f"{name}_at"

    def _data(self, found: re.Match[str]) -> str:
        # Constants of the program are no handles of the loop.
        return f"{found[1]}_at" if found[1] in self._local else found[0]

    def _root(self, view: _View) -> str:
        while view.of in self.views:
            view = self.views[view.of]
        return view.of

    @property
    def _local(self) -> set[str]:
        return {*self.sites, *self.views, *self.carried, *self.fixed}

    def _check(self) -> None:
        """Refuse large buffers, and tensors that outlive the step after theirs."""
        for name, what in self.handed_on:
            root = self._root(what)
            stays = self.carried.get(root) == name and not what.arguments
            if root not in self.sites and not stays:
                raise _NotUnderstoodError(name)
        if self.num_bytes > MOST_BYTES:
            raise _NotUnderstoodError("large buffers")

    def _allocation(self, name: str, turns: bool) -> Iterator[str]:
        names = [f"{name}_even", f"{name}_odd"] if turns else [f"{name}_even"]
        for each in names:
            yield f"AtenTensorHandle {each}_handle;"
            yield self.sites[name].declaration.replace(f"&{name}_handle", f"&{each}_handle")
            yield f"RAIIAtenTensorHandle {each}({each}_handle);"
        places = ", ".join(f"static_cast<char*>({each}.data_ptr())" for each in (names[0], names[-1]))
        yield f"char* const {name}_in[] = {{{places}}};"

    def _result(self, handed: _HandedOn) -> Iterator[str]:
        """Write what gives a carried tensor the buffer of the last step."""
        root = self._root(handed.what)
        if root not in self.sites:
            return
        name = handed.carried
        yield "{"
        yield f"auto& last = num_steps & 1 ? {root}_even : {root}_odd;"
        yield "AtenTensorHandle kept;"
        yield "AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_assign_tensors_out(last, &kept));"
        yield "RAIIAtenTensorHandle result(kept);"
        for arguments, offset in self._path(handed.what):
            view = f"reinterpret_tensor_wrapper(result, {arguments}, {offset}L)"
            yield f"result = wrap_with_raii_handle_if_needed({view});"
        yield f"{name}.reset();"
        yield f"{name} = std::move(result);"
        yield "}"

    def _path(self, view: _View) -> list[tuple[str, int]]:
        """Return the views of views that lead from a buffer to a tensor."""
        path = [(view.arguments, view.offset)]
        while view.of in self.views:
            view = self.views[view.of]
            path.append((view.arguments, view.offset))
        return [(arguments, offset) for arguments, offset in reversed(path) if arguments]


def _innermost_loops(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of each loop without a loop in it."""
    start = None
    for number, line in enumerate(lines):
        if line.strip() == _LOOP:
            start = number
        elif start is not None and line == lines[start].replace(_LOOP, "}"):
            yield start, number
            start = None


def _sizes_of(lines: Sequence[str]) -> dict[str, int]:
    return dict(_size_of(found) for line in lines if (found := _ARRAY.fullmatch(line.strip())))


def _size_of(found: re.Match[str]) -> tuple[str, int]:
    none, name, numbers = found.groups()
    return none or name, prod(int(number) for number in re.findall(r"\d+", numbers or ""))


def _carried_by(body: Sequence[str]) -> set[str]:
    """Return the tensors that a loop carries: those that are replaced once it is known that it goes on."""
    stop = next((i for i, line in enumerate(body) if line.endswith("break;")), len(body))
    return {found[1] for line in body[stop:] if (found := _HANDED_ON.fullmatch(line))}


def _view(of: str, dim: str, sizes: str, strides: str, offset: str) -> _View:
    return _View(of, f"{dim}, {sizes}, {strides}", int(offset))


def _held(name: str, source: str) -> Iterator[str]:
    yield f"AtenTensorHandle {name}_handle;"
    yield f"AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_assign_tensors_out({source}, &{name}_handle));"
    yield f"RAIIAtenTensorHandle {name}({name}_handle);"
    yield f"char* const {name}_at = static_cast<char*>({name}.data_ptr());"


def _known(table: Mapping[str, V], key: str) -> V:
    if key not in table:
        raise _NotUnderstoodError(key)
    return table[key]
