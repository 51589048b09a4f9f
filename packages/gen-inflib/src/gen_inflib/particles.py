"""Particles: the same operation for each, in a batch where the model allows, else one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gen_core import BatchStructureError, NotBatchableError, Trace, TraceBatch, batch

REFUSALS = (NotBatchableError, BatchStructureError)


class Crowd(NamedTuple):
    """Traces, each with a log weight."""

    traces: Any
    """A batch, or a tuple of traces."""
    log_weights: Tensor
    """Shape `(num_particles,)`, in nats, float64 where the device has it."""
    why_looped: str | None = None


def draw_crowd(draw: Callable[[], tuple[Trace[Any], Tensor]], size: int, batched: bool | None) -> Crowd:
    """Return `size` results of `draw`.

    Args:
        draw: Returns a trace and its log weight.
        size: How many.
        batched: Whether all at once; None tries, and draws one after another where that fails.

    Raises:
        NotBatchableError: They cannot be drawn at once, and `batched` is True.
    """

    def at_once() -> Crowd:
        traces, log_weights = batch(draw, size=size)()
        return Crowd(traces, log_weights)

    return _batched_or_not(at_once, lambda: [draw() for _ in range(size)], batched)


def move_crowd(
    move: Callable[[Trace[Any]], tuple[Trace[Any], Tensor]], traces: Any, moves: Tensor | None = None
) -> Crowd:
    """Return what `move` makes of each trace; a batch is moved at once where that is possible.

    Args:
        move: Returns a trace and a log weight.
        traces: A batch, or a tuple of traces.
        moves: Which need to be moved, booleans of shape `(num_particles,)`. In a batch all are; one after
            another, the rest stay as they are, with log weight 0.
    """
    stays = [False] * len(traces) if moves is None else (~moves).tolist()
    unmoved = torch.zeros((), dtype=torch.float64)

    def one_by_one() -> list[tuple[Trace[Any], Tensor]]:
        return [(trace, unmoved) if stay else move(trace) for trace, stay in zip(traces, stays, strict=True)]

    def at_once() -> Crowd:
        moved, log_weights = batch(move)(traces)
        return Crowd(moved, log_weights)

    is_batch = isinstance(traces, TraceBatch)
    return _batched_or_not(at_once, one_by_one, None if is_batch else False)


def _batched_or_not(
    at_once: Callable[[], Crowd],
    one_by_one: Callable[[], Sequence[tuple[Trace[Any], Tensor]]],
    batched: bool | None,
) -> Crowd:
    why_looped = None
    if batched is not False:
        try:
            return tried(at_once)
        except REFUSALS as refusal:
            if batched:
                raise
            why_looped = str(refusal)
    traces, log_weights = zip(*one_by_one(), strict=True)
    return Crowd(traces, torch.stack(log_weights), why_looped)


def tried(at_once: Callable[[], Crowd]) -> Crowd:
    """Return `at_once()`; where it is refused, the random generator is as if it had not been tried.

    Raises:
        NotBatchableError: What is run cannot be batched.
        BatchStructureError: Its structure differs within the batch.
    """
    state = torch.get_rng_state()
    try:
        return at_once()
    except REFUSALS:
        torch.set_rng_state(state)
        raise
