"""The scores of a trace's choices in columns: one for each dtype and device, in the order of visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from gen_core.readable import stack_rows

if TYPE_CHECKING:
    from gen_core.choice import ChoiceTrace


class ScoreColumns(NamedTuple):
    """Scores in columns, and the column and row of each choice."""

    columns: list[Any]
    places: tuple[tuple[int, int], ...]


def score_columns(choices: Sequence[ChoiceTrace[Any]]) -> ScoreColumns:
    """Return the scores of choices in an order that does not depend on which runs scored them.

    A column has the choices in its last dimension; batches of traces have dimensions before it.
    """
    kinds: dict[object, list[ChoiceTrace[Any]]] = {}
    places = []
    numbers: dict[object, int] = {}
    for choice in choices:
        kind = _kind(choice)
        column = numbers.setdefault(kind, len(numbers))
        rows = kinds.setdefault(kind, [])
        places.append((column, len(rows)))
        rows.append(choice)
    return ScoreColumns([_column(each) for each in kinds.values()], tuple(places))


def _kind(choice: ChoiceTrace[Any]) -> object:
    score = choice.held_score
    column = score[0] if type(score) is tuple else score
    # While torch maps trees, anything may stand for a tensor.
    return (column.dtype, column.device) if isinstance(column, Tensor) else id(column)


def _column(choices: list[ChoiceTrace[Any]]) -> Any:
    first = choices[0].held_score
    if type(first) is not tuple:
        return _stacked(choices) if isinstance(first, Tensor) else first
    column = first[0]
    if not isinstance(column, Tensor):
        return column
    whole = column.shape[-1] == len(choices) and all(
        type(choice._score) is tuple and choice._score[0] is column and choice._score[1] == row
        for row, choice in enumerate(choices)
    )
    return column if whole else _stacked(choices)


def _stacked(choices: list[ChoiceTrace[Any]]) -> Tensor:
    scores = [choice.score for choice in choices]
    # Batches of traces have dimensions before the choices.
    return torch.stack(scores, -1) if scores[0].dim() else stack_rows(scores)
