"""Values chosen by an index that Python cannot read: one of several, leaf by leaf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from gen_combinators.errors import BranchesDifferError, brief
from gen_combinators.vector import Vector
from gen_core import EMPTY, ChoiceMap, Leaf, Path
from gen_core.address import PathPart, show
from gen_core.choicemap import branch
from gen_core.parts import children
from gen_core.structure import Inner, assemble, one_level
from gen_core.totals import total_dtype

Numbered = Mapping[int, Any]
"""Values by the number of the branch that they come from."""


def where_number(index: Tensor, terms: Mapping[int, Tensor]) -> Tensor:
    """Return the score or weight of the branch at `index`, float64; NaN where there is none.

    What the other branches have, -inf and NaN included, reaches neither the result nor its gradient.
    """
    device = next((term.device for term in terms.values() if term.device.type != "cpu"), index.device)
    wide = {number: term.to(device, total_dtype(term)) for number, term in terms.items()}
    result = torch.full((), torch.nan, dtype=next(iter(wide.values())).dtype, device=device)
    for number, term in wide.items():
        result = torch.where((index == number).to(device), term, result)
    return result


def where_value(index: Tensor, values: Numbered, model: str, place: str = "") -> Any:
    """Return the value of the branch at `index`: tensors chosen element by element, others if equal.

    Python numbers that differ become tensors.

    Args:
        index: Which branch is taken.
        values: What each returned.
        model: The name of the function that has the branches, for messages.
        place: Where in what it returns the values lie, for messages.

    Raises:
        BranchesDifferError: The values differ in structure, shape or dtype; names the leaf.
    """
    first = next(iter(values.values()))
    if all(value is first for value in values.values()):
        return first
    if any(isinstance(value, Tensor) for value in values.values()) or _are_unequal_numbers(values):
        return _where_tensor(index, values, f"{model} to return", place)
    levels = {number: one_level(value) for number, value in _held_alike(values).items()}
    kinds = [kind for kind, _ in levels.values()]
    sizes = {len(parts) for _, parts in levels.values()}
    if any(kind != kinds[0] for kind in kinds) or len(sizes) > 1:
        raise BranchesDifferError(f"{model} to return", place, dict(_described(values)))
    if not isinstance(kinds[0], Inner):
        return first
    size = sizes.pop()
    names = children(first)
    # A vector may be held as one part, its columns.
    keys = list(range(size)) if names is None or len(names) != size else list(names)
    parts = [
        where_value(
            index, {number: own[i] for number, (_, own) in levels.items()}, model, f"{place}[{key!r}]"
        )
        for i, key in enumerate(keys)
    ]
    return assemble(kinds[0], parts)


def where_choices(index: Tensor, choices: Mapping[int, ChoiceMap], model: str, path: Path = ()) -> ChoiceMap:
    """Return the union of the branches' choices; where several have a choice, the taken one's value.

    Raises:
        BranchesDifferError: At one address, branches make choices of different shape or dtype, or one makes
            a choice and another has choices below it.
    """
    known = {number: each for number, each in choices.items() if not each.is_empty}
    if len(known) < 2:
        return next(iter(known.values()), EMPTY)
    if any(each.is_leaf for each in known.values()):
        if not all(each.is_leaf for each in known.values()):
            kinds = {n: "a choice" if each.is_leaf else "choices below it" for n, each in known.items()}
            raise BranchesDifferError(f"{model} to make choices", f" at {show(path)}", kinds)
        values = {number: each.value for number, each in known.items()}
        return Leaf(_where_tensor(index, values, f"{model} to make choices", f" at {show(path)}"))
    keys: dict[PathPart, None] = {key: None for each in known.values() for key in each.child_keys()}
    return branch(
        (key, where_choices(index, {n: each.child(key) for n, each in known.items()}, model, (*path, key)))
        for key in keys
    )


def _held_alike(values: Numbered) -> Numbered:
    """Return vectors as elements where only some of them can be held in columns."""
    if not all(isinstance(value, Vector) for value in values.values()):
        return values
    if len({value.source.held() is None for value in values.values()}) == 1:
        return values
    return {number: Vector(tuple(value)) for number, value in values.items()}


def _where_tensor(index: Tensor, values: Numbered, what: str, place: str) -> Tensor:
    tensors = _as_tensors(values)
    kinds = {None if tensor is None else (tensor.shape, tensor.dtype) for tensor in tensors.values()}
    if len(kinds) > 1 or None in kinds:
        raise BranchesDifferError(what, place, dict(_described(values)))
    found: dict[int, Any] = tensors
    result: Tensor | None = None
    for number, tensor in found.items():
        if result is None:
            result = tensor
        elif tensor is not result:
            taken = (index == number).to(tensor.device)
            result = torch.where(_spread(taken, tensor, result), tensor, result)
    assert result is not None
    return result


def _spread(taken: Tensor, *values: Tensor) -> Tensor:
    """Give a mask the dimensions of values that have the batch first, as those of a `TraceBatch` have."""
    missing = max(value.dim() for value in values) - taken.dim()
    return taken.reshape(*taken.shape, *[1] * missing) if taken.dim() and missing > 0 else taken


def _as_tensors(values: Numbered) -> dict[int, Tensor | None]:
    """Return tensors, and Python numbers as tensors of the dtype of the first tensor of their kind."""
    like = next((value for value in values.values() if isinstance(value, Tensor)), None)
    return {number: _as_tensor(value, like) for number, value in values.items()}


def _as_tensor(value: object, like: Tensor | None) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if type(value) not in _NUMBERS:
        return None
    tensor = torch.tensor(value)
    if like is not None and like.is_floating_point() == tensor.is_floating_point():
        return tensor.to(like.dtype, copy=False).to(like.device)
    return tensor


def _are_unequal_numbers(values: Numbered) -> bool:
    kinds = {type(value) for value in values.values()}
    return len(kinds) == 1 and kinds <= _NUMBERS and len(set(values.values())) > 1


def _described(values: Numbered) -> Iterable[tuple[int, str]]:
    for number, value in values.items():
        if isinstance(value, Tensor):
            yield number, f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
        else:
            yield number, f"{brief(value)} ({type(value).__name__})"


_NUMBERS = {bool, int, float}
