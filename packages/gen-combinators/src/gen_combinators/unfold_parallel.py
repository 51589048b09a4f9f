"""Editing all steps at once, in the hope that each returns what it did before; projecting them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import torch
from torch import Tensor

from gen_combinators.batching import Refusal, attempt, refusal_of, remember
from gen_combinators.map_run import wide_sum
from gen_combinators.unfold_storage import in_columns
from gen_core import UNCHANGED, TraceBatch, drawing, rooms
from gen_core.columns import Columns
from gen_core.readable import values_are_readable

if TYPE_CHECKING:
    from gen_combinators.elements import Elements
    from gen_combinators.map_groups import Group
    from gen_core import GenerativeFunction, Trace, Updated

MANY: Final = 64
"""Fewer steps are edited one by one as fast."""


class Moved(NamedTuple):
    """The first steps, edited."""

    traces: TraceBatch[Any]
    weight: Tensor
    """The sum of their weights, shape `()`."""
    scores: Tensor
    """The sum of their scores, shape `()`."""
    old_scores: Tensor
    """The sum of the scores that they had, shape `()`."""
    is_last_changed: bool
    """Whether the last of them returns something else than before; the others do not."""


def move_all(
    kernel: GenerativeFunction[..., Any],
    elements: Elements[Any],
    size: int,
    edit: Callable[[Trace[Any]], Updated[Any]],
) -> Moved | None:
    """Edit the first `size` steps, each from the carried argument that it had; None where that is no use.

    What a step is given is what it was given before for as long as the steps before it return what they
    did: up to the first that does not, that one included, the edits are right.

    Args:
        kernel: The kernel.
        elements: The traces of the steps.
        size: How many are edited.
        edit: Edits the trace of one step; it keeps all choices, and may draw nothing.
    """
    if size < MANY or not values_are_readable() or refusal_of(kernel, size):
        return None
    before = elements.batch(range(size)) or in_columns(elements[step] for step in range(size))
    if before is None:
        return None
    drawn: list[object] = []

    def refuse(distribution: object, args: object, kwargs: object) -> NoReturn:
        drawn.append(distribution)
        raise _DrawError

    with drawing(refuse):
        found = attempt(edit, [0], size, before)
    if isinstance(found, Refusal):
        if not drawn:
            remember(kernel, found)
        return None
    # NaN is what bad parameters give in a batch; one by one, they raise.
    if not found.discard.is_empty or bool(found.weight.isnan().any()):
        return None
    return _verified(before, found, size)


def project_all(kernel: GenerativeFunction[..., Any], elements: Elements[Any], group: Group) -> Tensor | None:
    """Return the sum of the projections of steps of which the same is selected; None if not all at once."""
    size = len(group.indices)
    if size < MANY or not elements.is_batched or not values_are_readable() or refusal_of(kernel, size):
        return None
    batch = elements.batch(group.indices)
    if batch is None:
        return None
    found = attempt(lambda step: rooms.project(step, group.of_all), [0], size, batch)
    if isinstance(found, Refusal):
        remember(kernel, found)
        return None
    return wide_sum(found)


class _DrawError(Exception):
    """A batch of edits would draw in another order than the steps do."""


def _verified(before: TraceBatch[Any], found: Any, size: int) -> Moved | None:
    traces = found.trace
    changed = _first_change(before, traces) if found.retdiff is not UNCHANGED else size
    if changed is None:
        return None
    is_last_changed = changed < size
    moved = changed + 1 if is_last_changed else size
    return Moved(
        traces if moved == size else traces[:moved],
        wide_sum(found.weight[:moved]),
        wide_sum(traces.score[:moved]),
        wide_sum(before.score[:moved]),
        is_last_changed,
    )


def _first_change(before: TraceBatch[Any], now: TraceBatch[Any]) -> int | None:
    """Return the first step whose return value differs, `n` if none; None if they cannot be compared."""
    old, new = _retvals(before), _retvals(now)
    if old.structure != new.structure:
        return None
    same = torch.ones(old.size, dtype=torch.bool)
    for one, two in zip(old.tensors, new.tensors, strict=True):
        if one.shape != two.shape or one.dtype != two.dtype:
            return None
        same &= ((one == two) | ((one != one) & (two != two))).reshape(old.size, -1).all(1).cpu()
    return int(same.int().argmin()) if not bool(same.all()) else old.size


def _retvals(batch: TraceBatch[Any]) -> Columns:
    whole = Columns(batch.columns, batch.is_shared, batch.structure, len(batch))
    return whole.part(whole.whole.retval).spread
