"""Runs of a Map's kernel: one by one, or as a batch for a group of elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

import torch
from torch import Tensor

from gen_combinators.batching import Refusal, attempt, refusal_of, remember
from gen_combinators.elements import Elements
from gen_core import ParameterError, TraceBatch, rooms, total
from gen_core.readable import values_are_readable
from gen_core.totals import total_dtype
from gen_core.where import annotate, annotate_address, where_of

if TYPE_CHECKING:
    from gen_combinators.map_arguments import Arguments
    from gen_combinators.map_groups import Group
    from gen_core import Call, GenerativeFunction, Trace

Enter: TypeAlias = "Callable[[Call[Any], Any], tuple[Any, ...]]"
"""Runs the kernel on constraints for one element: a trace, and what else the operation returns."""


class Entered(NamedTuple):
    """What new runs gave."""

    elements: Elements[Any]
    score: Tensor
    weight: Tensor


def enter_all(
    gen_fn: GenerativeFunction[..., Any],
    arguments: Arguments,
    indices: range,
    groups: Sequence[Group],
    enter: Enter,
    *,
    in_rows: bool = False,
) -> Entered:
    """Run the kernel for the elements at `indices`, which the groups cover.

    Args:
        gen_fn: The Map, for messages.
        arguments: Its arguments.
        indices: Elements in a row.
        groups: What is asked of them.
        enter: Runs the kernel on one.
        in_rows: Whether these join elements that are held in columns.
    """
    can_batch = refusal_of(arguments.kernel, len(indices)) is None
    run = _Run(gen_fn, arguments, enter, in_rows or can_batch)
    for group in groups:
        run.group(group)
    elements = Elements.assembled(indices, run.batches, run.traces)
    return Entered(elements, total(run.scores), total(run.weights))


def at_element(
    gen_fn: GenerativeFunction[..., Any], index: int, function: Callable[..., Any], *args: Any
) -> Any:
    """Call a function of one element, and note its index on an error."""
    try:
        return function(*args)
    except BaseException as error:
        if isinstance(error, ParameterError):
            error.locate((index,), gen_fn.name)
        annotate_address(error, (index,))
        if where_of(error) is not None:  # the note that is there lacks the index
            annotate(error, gen_fn, at_element)
        else:  # raised when the kernel's body had returned, or had none
            error.add_note(f"Raised in element {index} of {gen_fn.name}.")
        raise


def refuse_nan(gen_fn: GenerativeFunction[..., Any], traces: TraceBatch[Any], indices: Sequence[int]) -> None:
    """Raise what an element with a score that is not a number raises alone: nobody asked for a batch."""
    if not values_are_readable():
        return
    is_nan = torch.isnan(traces.score)
    if bool(is_nan.any()):
        row = int(is_nan.int().argmax())
        trace = traces[row]
        at_element(gen_fn, indices[row], rooms.assess, trace.call, trace.choices)


def wide_sum(numbers: Tensor) -> Tensor:
    """Return the sum of scores or weights, shape `()`, float64 where the device has it."""
    return numbers.sum(dtype=total_dtype(numbers))


@final
class _Run:
    """New runs of the kernel."""

    def __init__(
        self, gen_fn: GenerativeFunction[..., Any], arguments: Arguments, enter: Enter, in_rows: bool
    ) -> None:
        self.gen_fn = gen_fn
        self.arguments = arguments
        self.enter = enter
        self.in_rows = in_rows
        self.refused: Refusal | None = None
        self.traces: dict[int, Trace[Any]] = {}
        self.batches: list[tuple[Sequence[int], TraceBatch[Any]]] = []
        self.scores: list[Tensor] = []
        self.weights: list[Tensor] = []

    def group(self, group: Group) -> None:
        """Run the elements of a group."""
        if group.can_batch and self._batched(group):
            return
        for index in group.indices:
            self._one(index, group.of(index))
        if self.refused is not None:  # and one by one it runs
            remember(self.arguments.kernel, self.refused)

    def _batched(self, group: Group) -> bool:
        """Run a group as one batch, and return whether that could be done."""
        if refusal_of(self.arguments.kernel, len(group.indices)) is not None:
            return False
        stacked = self.arguments.stacked(group.indices)
        if stacked is None:
            self.in_rows = False
            return False
        call_of, enter = self.arguments.call_of, self.enter
        change = group.of_all
        if group.is_stacked:
            entered = attempt(
                lambda change, *values: enter(call_of(values), change),
                [0, *stacked.in_dims],
                len(group.indices),
                change,
                *stacked.values,
            )
        else:
            entered = attempt(
                lambda *values: enter(call_of(values), change),
                stacked.in_dims,
                len(group.indices),
                *stacked.values,
            )
        if isinstance(entered, Refusal):
            self.refused, self.in_rows = entered, False
            return False
        batch: TraceBatch[Any] = entered[0]
        refuse_nan(self.gen_fn, batch, group.indices)
        self.batches.append((group.indices, batch))
        self.scores.append(wide_sum(batch.score))
        self.weights += [wide_sum(weight) for weight in entered[1:]]
        return True

    def _one(self, index: int, change: Any) -> None:
        call = self.arguments.call_of(self.arguments.values(index, in_rows=self.in_rows))
        trace, *weights = at_element(self.gen_fn, index, self.enter, call, change)
        self.traces[index] = trace
        self.scores.append(trace.score)
        self.weights += weights
