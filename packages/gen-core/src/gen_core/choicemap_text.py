"""Choices as text: on one line, or drawn as a tree."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gen_core.address import Path, show

if TYPE_CHECKING:
    from gen_core.choicemap import ChoiceMap

_LIMIT = 10  # choices on one line
_LONG = 40  # keys at one level of a tree; of more, the first are shown
_SHOWN = 30


def describe(value: object) -> str:
    """Return `value` on one line: numbers as they are, larger tensors by shape and dtype."""
    if isinstance(value, Tensor):
        return _number(value) or f"Tensor({tuple(value.shape)}, {str(value.dtype)[6:]})"
    return " ".join(reprlib.repr(value).split())


def one_line(leaves: Iterable[tuple[Path, object]]) -> str:
    """Return the first leaves, as in `ChoiceMap({'slope': 1.0, ('y', 3): 0.2})`."""
    remaining = iter(leaves)
    shown = [f"{show(path)}: {describe(value)}" for path, value in islice(remaining, _LIMIT)]
    left = sum(1 for _ in remaining)
    return f"ChoiceMap({{{', '.join([*shown, f'... {left} more'] if left else shown)}}})"


def draw(choices: ChoiceMap, label: Callable[[Path, Any], str] = lambda path, value: describe(value)) -> str:
    """Return the tree of `choices`, one line a choice, each ending in `label(path, value)`."""
    if choices.is_leaf:
        return label((), choices.value)
    return "\n".join(_lines(choices, (), label)) or "(no choices)"


def _lines(choices: ChoiceMap, path: Path, label: Callable[[Path, Any], str]) -> Iterator[str]:
    keys = choices.child_keys()
    shown = keys if len(keys) <= _LONG else islice(keys, _SHOWN)
    children = [(key, choices.child(key)) for key in shown]
    children = [(key, child) for key, child in children if not child.is_empty]
    for position, (key, child) in enumerate(children, start=1):
        is_last = position == len(children) and len(keys) <= _LONG
        at = (*path, key)
        value = f": {label(at, child.value)}" if child.is_leaf else ""
        yield f"{'└── ' if is_last else '├── '}{key!r}{value}"
        for line in () if child.is_leaf else _lines(child, at, label):
            yield f"{'    ' if is_last else '│   '}{line}"
    if len(keys) > _LONG:
        yield f"└── ... {len(keys) - _SHOWN:,} more"


def _number(value: Tensor) -> str | None:
    if value.dim() != 0:
        return None
    try:
        number = value.item()
    except RuntimeError:  # no data: under vmap, while staging, on the meta device
        return None
    # As many digits as the type holds: 0.2 in float32 is not 0.20000000298023224.
    return repr(float(f"{number:.6g}")) if isinstance(number, float) else repr(number)
