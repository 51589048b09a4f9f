"""What is asked of the elements of a Map, in groups of elements that are asked the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from gen_combinators.elements_views import in_rows
from gen_combinators.stacking import stacked
from gen_core import NONE
from gen_core.choicemap import EMPTY
from gen_core.choicemap_build import from_paths
from gen_core.choicemap_rows import Rows

if TYPE_CHECKING:
    from gen_core import ChoiceMap, Selection


@final
@dataclass(frozen=True)
class Group:
    """Elements that are constrained at the same addresses, or of which the same is selected."""

    indices: Sequence[int]
    of: Callable[[int], Any]
    """Returns what is asked of one element: constraints or a selection."""
    of_all: Any
    """The same for all: what they share, or constraints with a row for each."""
    is_stacked: bool = False
    """Whether `of_all` has a row for each element."""
    can_batch: bool = True
    """Whether `of_all` stands for all."""


def constraint_groups(constraints: ChoiceMap, indices: range) -> list[Group]:
    """Return the elements among `indices` that are constrained, grouped by the addresses of constraints."""
    if constraints.is_leaf or constraints is EMPTY:
        return []
    constraints = in_rows(constraints)
    keys = _within(constraints.child_keys(), indices)
    if isinstance(constraints, Rows):
        return [_group_of_rows(constraints, keys)] if keys else []
    found: dict[object, list[int]] = {}
    below: dict[int, ChoiceMap] = {}
    for key in keys:
        choices = constraints.child(key)
        if choices is not EMPTY and not choices.is_empty:
            below[key] = choices
            found.setdefault(_layout(choices) if len(keys) > 1 else None, []).append(key)
    return [_group(alike, below) for alike in found.values()]


def selection_groups(selection: Selection, indices: range) -> list[Group]:
    """Return the elements among `indices` of which something is selected, grouped by what that is."""
    if selection is NONE:
        return []
    keys = selection.keys()
    found: dict[object, list[int]] = {}
    parts: dict[object, Selection] = {}
    last, name = NONE, None
    for key in indices if keys is None else _within(keys, indices):
        part = selection.child(key)
        if part is not NONE:
            if part is not last:
                last, name = part, _name(part)
                parts.setdefault(name, part)
            found.setdefault(name, []).append(key)
    return [_alike(_compressed(alike), parts[name]) for name, alike in found.items()]


def rest(groups: Iterable[Group], indices: Sequence[int], change: Any) -> list[Group]:
    """Return the group of those at `indices` that are in no group, of which `change` is asked."""
    taken: set[int] = set()
    for group in groups:
        if group.indices == indices:
            return []
        taken.update(group.indices)
    left = indices if not taken else [index for index in indices if index not in taken]
    return [_alike(left, change)] if left else []


def _alike(indices: Sequence[int], change: Any) -> Group:
    return Group(indices, lambda index: change, change)


def _within(keys: Any, indices: range) -> Sequence[int]:
    """Return the keys that are indices, in order."""
    if isinstance(keys, range) and keys.step == 1:
        return range(max(keys.start, indices.start), max(indices.start, min(keys.stop, indices.stop)))
    return _compressed(sorted({key for key in keys if isinstance(key, int) and key in indices}))


def _compressed(indices: list[int]) -> Sequence[int]:
    """Return ascending indices without gaps as a range."""
    if indices and indices[-1] - indices[0] == len(indices) - 1:
        return range(indices[0], indices[-1] + 1)
    return indices


def _group_of_rows(rows: Rows, keys: Sequence[int]) -> Group:
    columns = rows.columns
    positions = [rows.position(key) for key in keys] if not rows.is_dense else keys
    if len(positions) < columns.size or not isinstance(positions, range):
        device = columns.tensors[0].device if columns.tensors else None
        columns = columns.gather(torch.as_tensor(positions, device=device))
    return Group(keys, rows.child, columns.spread.whole, is_stacked=True)


def _group(alike: list[int], below: dict[int, ChoiceMap]) -> Group:
    """Return the group of elements whose constraints have one layout, stacked if they can be."""
    if len(alike) == 1:
        return Group(alike, below.__getitem__, None, can_batch=False)
    leaves = [list(below[index].leaves()) for index in alike]
    paths = [path for path, _ in leaves[0]]
    columns = [stacked([leaf[k][1] for leaf in leaves]) for k in range(len(paths))]
    if any(not isinstance(column, Tensor) for column in columns):
        return Group(alike, below.__getitem__, None, can_batch=False)
    whole = from_paths(zip(paths, columns, strict=True))
    return Group(_compressed(alike), below.__getitem__, whole, is_stacked=True)


def _layout(choices: ChoiceMap) -> object:
    return tuple([(path, _kind(value)) for path, value in choices.leaves()])


def _kind(value: object) -> object:
    if isinstance(value, Tensor):
        return value.shape, value.dtype, value.device
    return type(value)


def _name(part: Selection) -> object:
    """Return what equal selections have in common, as far as that can be told."""
    try:
        hash(part)
    except TypeError:
        return id(part)
    return part
