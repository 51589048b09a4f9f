"""Loops in C++ that Inductor has written, with their buffers allocated before them, not at each step.

A step of a small loop is one fused kernel of a microsecond, and allocations and tensor handles around it
that cost ten times as much. What is known of each handle here is where its data lie, so a loop can do with
pointers: temporary results have one buffer each, and what is carried from step to step has two, which take
turns. A loop with a line of any other form than those of `loop_lines` stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from gen_torch.loop_lines import (
    ALIAS,
    ALLOCATED,
    ARRAY,
    ASSIGNED,
    C_TYPES,
    DATA,
    DECLARED,
    FREED,
    HANDED_ON,
    ITEM_SIZES,
    KEPT,
    KERNEL,
    LOOP,
    READ,
    RENAMED,
    SHARED,
    NotUnderstoodError,
    View,
    carried_by,
    innermost_loops,
    known,
    size_of,
    sizes_of,
    view_of,
)

MOST_BYTES: Final = 1 << 20
"""Larger buffers cost more to fill than to allocate, and are better freed early."""


def with_buffers_before_loops(code: str) -> str:
    """Return C++ with its innermost loops rewritten, where every line of theirs is understood."""
    lines = code.splitlines()
    for start, stop in reversed(list(innermost_loops(lines))):
        body = [line.strip() for line in lines[start + 1 : stop]]
        try:
            rewritten = _Loop(sizes_of(lines[:start])).rewrite(body)
        except NotUnderstoodError:
            continue
        indent = lines[start][: -len(LOOP)]
        lines[start : stop + 1] = [indent + line for line in rewritten]
    return "\n".join(lines)


class _Site(NamedTuple):
    """A buffer that each step allocates."""

    declaration: str
    item_size: int


class _HandedOn(NamedTuple):
    """What becomes of a carried tensor after a step."""

    carried: str
    what: View


@final
@dataclass
class _Loop:
    """A loop that is being rewritten. In the result, the data of `name` lie at the pointer `name_at`."""

    sizes: dict[str, int]
    """The product of the numbers in each array of sizes."""
    arrays: list[str] = field(default_factory=list)
    sites: dict[str, _Site] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    """Handles in a step, and the tensor outside that they are of."""
    fixed: dict[str, str] = field(default_factory=dict)
    """Handles in a step of tensors that are the same in every step, by what they are."""
    handed_on: list[_HandedOn] = field(default_factory=list)
    num_bytes: int = 0
    steps: list[str] = field(default_factory=list)

    def rewrite(self, body: Sequence[str]) -> list[str]:
        """Return the loop with what comes before and after it."""
        carried = carried_by(body)
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
            LOOP,
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
        if not line or DECLARED.fullmatch(line) or FREED.fullmatch(line):
            return
        if found := ARRAY.fullmatch(line):
            self.arrays.append(line)
            self.sizes |= [size_of(found)]
        elif found := ALLOCATED.fullmatch(line):
            self._allocate(line, found[1], found[2], found[3])
        elif found := ASSIGNED.fullmatch(line):
            self._assign(found[1], found[2], carried)
        elif found := READ.fullmatch(line):
            kind, source, name = found.groups()
            self.steps.append(f"{name} = *reinterpret_cast<{known(C_TYPES, kind)}*>({self._at(source)});")
        elif found := ALIAS.fullmatch(line):
            name, *view = found.groups()
            self._alias(name, view_of(*view))
        elif found := RENAMED.fullmatch(line):
            self._alias(found[1], View(found[2], "", 0))
        elif found := SHARED.fullmatch(line):
            self._alias(found[2], View(found[1], "", 0))
        elif found := HANDED_ON.fullmatch(line):
            name, same, *view = found.groups()
            self._hand_on(name, View(same, "", 0) if same else view_of(*view), carried)
        elif KERNEL.fullmatch(line):
            self.steps.append(DATA.sub(self._data, line))
        elif KEPT.fullmatch(line):
            self.steps.append(line)
        else:
            raise NotUnderstoodError(line)

    def _allocate(self, line: str, size: str, kind: str, name: str) -> None:
        item_size = known(ITEM_SIZES, kind)
        self.num_bytes += known(self.sizes, size) * item_size
        self.sites[name] = _Site(line, item_size)
        self.steps.append(f"char* {name}_at = {name}_in[num_steps & 1];")

    def _assign(self, source: str, name: str, carried: set[str]) -> None:
        if source in carried:
            self.carried[name] = source
            self.steps.append(f"char* {name}_at = {source}_at;")
        elif {*re.findall(r"\w+", source)} & {*carried, *self._local}:
            raise NotUnderstoodError(source)
        else:
            self.fixed[name] = source

    def _alias(self, name: str, view: View) -> None:
        self.views[name] = view
        self.steps.append(f"char* {name}_at = {self._place(view)};")

    def _hand_on(self, name: str, what: View, carried: set[str]) -> None:
        if name in carried:
            self.handed_on.append(_HandedOn(name, what))
            self.steps.append(f"{name}_at = {self._place(what)};")
        else:  # what says whether to go on
            self._alias(name, what)

    def _place(self, view: View) -> str:
        at = self._at(view.of)
        if not view.offset:
            return at
        return f"{at} + {view.offset * known(self.sites, self._root(view)).item_size}"

    def _at(self, name: str) -> str:
        if name not in self._local:
            raise NotUnderstoodError(name)
        return f"{name}_at"

    def _data(self, found: re.Match[str]) -> str:
        # Constants of the program are no handles of the loop.
        return f"{found[1]}_at" if found[1] in self._local else found[0]

    def _root(self, view: View) -> str:
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
                raise NotUnderstoodError(name)
        if self.num_bytes > MOST_BYTES:
            raise NotUnderstoodError("large buffers")

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

    def _path(self, view: View) -> list[tuple[str, int]]:
        """Return the views of views that lead from a buffer to a tensor."""
        path = [(view.arguments, view.offset)]
        while view.of in self.views:
            view = self.views[view.of]
            path.append((view.arguments, view.offset))
        return [(arguments, offset) for arguments, offset in reversed(path) if arguments]


def _held(name: str, source: str) -> Iterator[str]:
    yield f"AtenTensorHandle {name}_handle;"
    yield f"AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_assign_tensors_out({source}, &{name}_handle));"
    yield f"RAIIAtenTensorHandle {name}({name}_handle);"
    yield f"char* const {name}_at = static_cast<char*>({name}.data_ptr());"
