"""The forms of the lines in a loop that Inductor has written in C++."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Final, NamedTuple, TypeVar

V = TypeVar("V")

LOOP: Final = "while (1) {"
ITEM_SIZES: Final = {
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
C_TYPES: Final = {
    "bool": "bool",
    "int64": "int64_t",
    "int32": "int32_t",
    "float32": "float",
    "float64": "double",
}

VIEW = r"wrap_with_raii_handle_if_needed\(reinterpret_tensor_wrapper\((\w+), (\d+), (\w+), (\w+), (\d+)L\)\)"
CHECKED = r"AOTI_TORCH_ERROR_CODE_CHECK\(%s\);"
ARRAY = re.compile(r"static constexpr int64_t (?:\*(\w+)=nullptr|(\w+)\[\] = \{([\dL, ]*)\});")
DECLARED = re.compile(r"AtenTensorHandle (?:\w+_handle|tmp_\w+);|RAIIAtenTensorHandle \w+\(\w+_handle\);")
ALLOCATED = re.compile(
    CHECKED % r"aoti_torch_empty_strided\(\d+, (\w+), \w+, cached_torch_dtype_(\w+), "
    r"cached_torch_device_type_cpu, 0, &(\w+)_handle\)"
)
ASSIGNED = re.compile(CHECKED % r"aoti_torch_assign_tensors_out\((.+), &(\w+)_handle\)")
READ = re.compile(CHECKED % r"aoti_torch_item_(\w+)\((\w+), &(\w+)\)")
ALIAS = re.compile(rf"auto (\w+) = {VIEW};(?:  // \w+)?")
SHARED = re.compile(CHECKED % r"aoti_torch_new_tensor_handle\((\w+), &(\w+)\)")
RENAMED = re.compile(r"auto (\w+) = std::move\((\w+)\);(?:  // \w+)?")
FREED = re.compile(r"\w+\.reset\(\);")
HANDED_ON = re.compile(rf"(\w+) = std::move\((?:(?:RAIIAtenTensorHandle\()?(\w+)\)?|{VIEW})\);")
KERNEL = re.compile(r"\w+\((?:\([\w ]+\*\)\(\w+\.data_ptr\(\)\)|u\d+|, )*\);")
DATA = re.compile(r"(\w+)\.data_ptr\(\)")
KEPT = re.compile(
    r"// subgraph: \w+|(?:bool|int64_t) \w+;|auto u\d+ = \w+;|if \(!\w+\) break;"
    r"|if \(!\([^{}]*\)\) \{ throw [^{}]*\}"
)


class NotUnderstoodError(Exception):
    """A line is of no form that is known."""


class View(NamedTuple):
    """A part of another tensor, or all of it."""

    of: str
    arguments: str
    """Dimensions, sizes and strides; empty where the handle is the same."""
    offset: int


def innermost_loops(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of each loop without a loop in it."""
    start = None
    for number, line in enumerate(lines):
        if line.strip() == LOOP:
            start = number
        elif start is not None and line == lines[start].replace(LOOP, "}"):
            yield start, number
            start = None


def sizes_of(lines: Sequence[str]) -> dict[str, int]:
    """Return how many elements each array of sizes in some lines stands for."""
    return dict(size_of(found) for line in lines if (found := ARRAY.fullmatch(line.strip())))


def size_of(found: re.Match[str]) -> tuple[str, int]:
    """Return the name of an array of sizes, and how many elements it stands for."""
    none, name, numbers = found.groups()
    return none or name, prod(int(number) for number in re.findall(r"\d+", numbers or ""))


def carried_by(body: Sequence[str]) -> set[str]:
    """Return the tensors that a loop carries: those that are replaced once it is known that it goes on."""
    stop = next((i for i, line in enumerate(body) if line.endswith("break;")), len(body))
    return {found[1] for line in body[stop:] if (found := HANDED_ON.fullmatch(line))}


def view_of(of: str, dim: str, sizes: str, strides: str, offset: str) -> View:
    """Return what a match of `VIEW` says."""
    return View(of, f"{dim}, {sizes}, {strides}", int(offset))


def known(table: Mapping[str, V], key: str) -> V:
    """Return what a table says of a name.

    Raises:
        NotUnderstoodError: Nothing.
    """
    if key not in table:
        raise NotUnderstoodError(key)
    return table[key]
