"""Scoring choices: once per distribution, on stacked arguments.

Scoring one choice at a time costs a dozen tensor operations each; scoring the K choices of one
distribution together costs the same dozen for all of them. Runs therefore record values and score
them when the body has returned, and never later: a score computed lazily would escape `vmap`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_core.address import Path
from gen_core.arguments import NO_KWARGS
from gen_core.choice import ChoiceTrace
from gen_core.errors import ChangedInPlaceError, ParameterError
from gen_core.given import GivenBy
from gen_core.numbers import are_plain, number_score
from gen_core.readable import are_batched, elements_of_batches, is_compiling, stack_rows, values_are_readable
from gen_core.shapes import check_shape
from gen_core.totals import total_dtype

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.distribution import Distribution
    from gen_core.family import Requirement

STACKED_ELEMENTS = 4096
"""Values with more elements, in all runs of a batch, are scored one by one: stacking would copy more than
it saves."""
FEW_CHOICES = 3
"""So many choices of one distribution are scored one by one: stacking them takes longer."""
NUMBERS = 32
"""So many choices are looked through for those of one number; many more are scored faster in stacks."""
FUSED_CHOICES = 8
"""So many choices of one distribution are scored one by one in a compiled program, where operations on one
choice fuse with what comes before and after, and stacks do not. More would take long to compile."""


def score_choices(choices: Sequence[ChoiceTrace[Any]], paths: Sequence[Path], model: str) -> Tensor:
    """Set the score of each choice, and return their sum, shape `()`, in float64 where the device has it.

    Args:
        choices: Recorded choices without a score.
        paths: Their addresses, for messages.
        model: The name of the function that made them, for messages.

    Raises:
        ParameterError: A parameter is outside its constraint; names it and the address.
        ChangedInPlaceError: A value or an argument was changed after the choice was made.
    """
    total = score_edited(choices, paths, model)
    return total if isinstance(total, Tensor) else torch.scalar_tensor(total, dtype=torch.float64)


def score_edited(choices: Sequence[ChoiceTrace[Any]], paths: Sequence[Path], model: str) -> Tensor | float:
    """Do the same, for who can use a Python number: it is one where every choice is scored as one."""
    if not choices:
        return 0.0
    for row, choice in enumerate(choices):
        if not choice.is_intact():
            raise ChangedInPlaceError(model, paths[row])
    sum_of_numbers = 0.0
    left: Sequence[int] = range(len(choices))
    if len(choices) <= NUMBERS and are_plain():
        sum_of_numbers, left = _score_numbers(choices)
        if not left:
            return sum_of_numbers
    total = None
    if len(left) == 1:
        total = _Group([choices[left[0]]], [paths[left[0]]], model).score_one(0)
    else:
        groups: dict[int, list[int]] = {}
        for row in left:
            groups.setdefault(id(choices[row].gen_fn), []).append(row)
        for rows in groups.values():
            group = _Group([choices[row] for row in rows], [paths[row] for row in rows], model)
            total = group.score() if total is None else total + group.score()
    assert total is not None
    return total if sum_of_numbers == 0.0 else total + sum_of_numbers


def _score_numbers(choices: Sequence[ChoiceTrace[Any]]) -> tuple[float, list[int]]:
    """Score choices of one number, and return the sum, and the rows of all others."""
    total, left = 0.0, []
    for row, choice in enumerate(choices):
        log_prob = choice._call.gen_fn.of_numbers  # type: ignore[attr-defined]
        score = None if log_prob is None else number_score(choice, log_prob)
        if score is None:
            left.append(row)
        else:
            choice._score = score
            total += score
    return total, left


def sum_scores(choices: Sequence[ChoiceTrace[Any]]) -> Tensor:
    """Return the sum of the scores of scored choices, by columns where they share one."""
    if len(choices) == 1:
        only = choices[0].score
        return only.to(total_dtype(only))
    columns: dict[int, tuple[Tensor, list[int]]] = {}
    total: Tensor | None = None
    for choice in choices:
        if type(choice._score) is tuple:
            column, row = choice._score
            columns.setdefault(id(column), (column, []))[1].append(row)
        else:
            score = choice.score.to(total_dtype(choice.score))
            total = score if total is None else total + score
    for column, rows in columns.values():
        if len(rows) <= FEW_CHOICES < len(column):
            for row in rows:
                score = column.select(-1, row).to(total_dtype(column))
                total = score if total is None else total + score
            continue
        part = column if len(rows) == len(column) else column[torch.tensor(rows, device=column.device)]
        score = part.sum(dtype=total_dtype(column))
        total = score if total is None else total + score
    return torch.zeros((), dtype=torch.float64) if total is None else total


def log_density(call: Call[Any], value: object) -> Tensor:
    """Return the log density of one value, summed over its elements, shape `()`."""
    choice = ChoiceTrace(call, value)
    _Group([choice], [()], call.gen_fn.name).score()
    return choice.score


def given_value(call: Call[Any], value: object, path: Path = ()) -> Any:
    """Return a given value as the kind of value that the call's distribution draws.

    Raises:
        ValueShapeError: Its shape is not the one that the parameters demand.
    """
    distribution: Distribution[..., Any] = call.gen_fn  # type: ignore[assignment]
    family = distribution.family
    if isinstance(value, GivenBy):
        value = value.value(call)
    kwargs = call.kwargs
    converted = family.convert(value, *call.args, **kwargs) if kwargs else family.convert(value, *call.args)
    if isinstance(converted, Tensor) and (
        converted.dim() or family.event_dim or not all(map(_is_scalar, call.args))
    ):
        check_shape(distribution, call, converted, path)
    return converted


def _is_scalar(argument: object) -> bool:
    return type(argument) in _NUMBERS or (isinstance(argument, Tensor) and not argument.dim())


_NUMBERS = frozenset((float, int, type(None)))


class _Group:
    """The choices of one distribution in one run."""

    def __init__(self, choices: Sequence[ChoiceTrace[Any]], paths: Sequence[Path], model: str) -> None:
        self.choices = choices
        self.paths = paths
        self.model = model
        self.distribution: Distribution[..., Any] = choices[0].gen_fn  # type: ignore[assignment]

    def score(self) -> Tensor:
        """Score all choices: those that stack together, the others one by one."""
        if len(self.choices) <= FEW_CHOICES:
            scores = [self.score_one(row) for row in range(len(self.choices))]
            return sum(scores[1:], start=scores[0])
        if not self._fuses() and self._stacks():
            return self._score_stack(range(len(self.choices)))
        stacks: dict[object, list[int]] = {}
        for row, choice in enumerate(self.choices):
            stacks.setdefault(None if self._fuses() else _layout(choice), []).append(row)
        totals: list[Tensor] = []
        for layout, rows in stacks.items():
            if layout is None or len(rows) == 1:
                totals += self._score_each(rows)
            else:
                totals.append(self._score_stack(rows))
        if len(totals) == 1:
            return totals[0]
        if self._fuses() or elements_of_batches() > 1:
            return sum(totals[1:], start=totals[0])
        return torch.stack(totals).sum()

    def _fuses(self) -> bool:
        return len(self.choices) <= FUSED_CHOICES and is_compiling()

    def _stacks(self) -> bool:
        """Return whether all choices have the layout of the first; a column at a time, which is fast."""
        choices = self.choices
        if _layout(choices[0]) is None or any(choice._call.kwargs for choice in choices):
            return False
        columns = zip(*[choice._call.args for choice in choices], strict=True)
        return _are_alike([choice._retval for choice in choices]) and all(map(_are_alike, columns))

    def score_one(self, row: int) -> Tensor:
        score = self._density(row)
        return score.to(total_dtype(score))

    def _score_each(self, rows: Sequence[int]) -> list[Tensor]:
        """Score choices one by one, and return the terms of their sum."""
        scores = [self._density(row) for row in rows]
        can_stack = len(scores) > 1 and are_batched(scores) and len({score.dtype for score in scores}) == 1
        if not can_stack or is_compiling():
            return [score.to(total_dtype(score)) for score in scores]
        # Traces of a batch keep scores in columns, and one pass over a column beats adding them in pairs.
        column = stack_rows(scores)
        for position, row in enumerate(rows):
            self.choices[row]._score = column, position
        return [column.sum(dtype=total_dtype(column))]

    def _density(self, row: int) -> Tensor:
        choice = self.choices[row]
        call = choice.call
        family = self.distribution.family
        if not family.invalid_is_nan:
            self._check(call.args, call.kwargs, [row])
        densities = family.log_prob(choice._retval, *call.args, **call.kwargs)
        score = choice._score = densities.sum() if densities.dim() else densities
        if family.invalid_is_nan and _is_nan(score):
            self._check(call.args, call.kwargs, [row])
        return score

    def _score_stack(self, rows: Sequence[int]) -> Tensor:
        family = self.distribution.family
        choices = [self.choices[row] for row in rows]
        values = stack_rows([choice._retval for choice in choices])
        batch_dim = values.dim() - 1 - family.event_dim
        columns = zip(*[choice._call.args for choice in choices], strict=True)
        args = tuple(
            _column(column, values, batch_dim, event_dim)
            for column, event_dim in zip(columns, self._event_dims(), strict=True)
        )
        if not family.invalid_is_nan:
            self._check(args, NO_KWARGS, rows)
        densities = family.log_prob(values, *args)
        scores = densities.flatten(1).sum(1) if densities.dim() > 1 else densities
        for position, choice in enumerate(choices):
            choice._score = scores, position
        score = scores.sum(dtype=total_dtype(scores))
        if family.invalid_is_nan and _is_nan(score):
            self._check(args, NO_KWARGS, rows)
        return score

    def _event_dims(self) -> list[int]:
        constraints = self.distribution.family.arg_constraints
        names = list(self.distribution.signature.parameters)[: len(self.choices[0].call.args)]
        return [constraints[name].event_dim if name in constraints else 0 for name in names]

    def _check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], rows: Sequence[int]) -> None:
        if not values_are_readable():
            return
        for requirement in self.distribution.family.requirements(*args, **kwargs):
            if not requirement.is_met:
                self._refuse(requirement, rows)

    def _refuse(self, requirement: Requirement, rows: Sequence[int]) -> None:
        fails = ~torch.as_tensor(requirement.holds)
        row = rows[0]
        if len(rows) > 1 and fails.dim() and len(fails) == len(rows):
            row = rows[
                int(fails.flatten(1).any(1).int().argmax() if fails.dim() > 1 else fails.int().argmax())
            ]
        names = list(self.distribution.signature.parameters)
        value = self.choices[row].call.values()[names.index(requirement.parameter)]
        raise ParameterError(
            self.distribution.name,
            requirement.parameter,
            requirement.must,
            value,
            self.paths[row],
            self.model,
        )


def _is_nan(score: Tensor) -> bool:
    """Return whether a score is NaN, where values can be read: one number that says that all is well."""
    return values_are_readable() and math.isnan(score.item())


def _are_alike(column: Sequence[Any]) -> bool:
    """Return whether the values of many choices, or one argument of them, can be stacked."""
    first = column[0]
    if isinstance(first, Tensor):
        if all(value is first for value in column):
            return True
        if not all(isinstance(value, Tensor) for value in column):
            return False
        shape, dtype, device = first.shape, first.dtype, first.get_device()
        return all(
            [
                value.shape == shape and value.dtype is dtype and value.get_device() == device
                for value in column
            ]
        )
    kind = type(first)
    return (first is None or isinstance(first, float | int)) and all(
        [type(value) is kind for value in column]
    )


def _layout(choice: ChoiceTrace[Any]) -> object:
    """Return what choices must share to be stacked, None for a choice that cannot be."""
    value = choice.retval
    if not isinstance(value, Tensor) or choice.call.kwargs:
        return None
    if value.numel() * elements_of_batches() > STACKED_ELEMENTS:
        return None
    if not choice.call.gen_fn.family.can_stack:  # type: ignore[attr-defined]
        return None
    layout: list[object] = [value.shape, value.dtype, value.device]
    for argument in choice.call.args:
        if isinstance(argument, Tensor):
            layout += (argument.shape, argument.dtype, argument.device)
        elif argument is None or isinstance(argument, float | int):
            layout.append(type(argument))
        else:
            return None
    return tuple(layout)


def _column(arguments: Sequence[Any], values: Tensor, batch_dim: int, event_dim: int) -> Any:
    """Stack one argument of many choices, so that it broadcasts against the stacked values."""
    first = arguments[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        if all(argument is first for argument in arguments):
            return first
        column = stack_rows(arguments)
        missing = batch_dim - (column.dim() - 1 - event_dim)
        return column if missing <= 0 else column.reshape(len(column), *[1] * missing, *column.shape[1:])
    if arguments.count(first) == len(arguments):
        return first  # a number, as in one choice: families have short cuts for 0 and 1
    dtype = None
    if isinstance(first, float):
        dtype = values.dtype if values.is_floating_point() else torch.get_default_dtype()
    column = torch.tensor(arguments, dtype=dtype, device=values.device)
    return column.reshape(-1, *[1] * (batch_dim + event_dim))
