"""What is noted of each step of a chain: the choices, the density, and what the kernels said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from gen_core import ChoiceMap, Selection, Trace
from gen_core.structure import take_apart
from gen_inflib.kernel import Move, moves_of
from gen_inflib.unconstrained import Known

ACCEPTED = "accepted"


class Visit(NamedTuple):
    """One step of one chain; in a batch every tensor has the chains as first dimension."""

    choices: ChoiceMap
    """The choices that are not observed."""
    log_density: Tensor
    """The score, shape `()`."""
    fields: dict[tuple[str, str], Tensor]
    """By kernel and name, the numbers in what the kernels said, each of shape `()`."""
    moves: dict[str, Tensor]
    """By kernel, how many moves were taken and how many of these accepted, shape `(2,)`."""
    collected: Any
    """What the user's function made of the trace."""


@final
@dataclass(frozen=True)
class Watch:
    """What to note of each step."""

    latents: Selection
    collect: Callable[[Trace[Any]], Any] | None

    def visit(self, trace: Trace[Any], kernel: object, info: object) -> Visit:
        """Note a step that led to `trace`."""
        collected = None if self.collect is None else numbers_as_tensors(self.collect(trace))
        return self._visit(trace.choices, trace.score, kernel, info, collected)

    def known_visit(
        self, trace: Trace[Any], known: Known | None, kernel: object, info: object
    ) -> Visit | None:
        """Note a step from what is known of where it led; None if that is less than what is to be noted.

        Args:
            trace: Another trace of the chain, which says how its choices are structured.
            known: The choices and their score.
            kernel: What took the step.
            info: What it said.
        """
        if self.collect is not None or known is None:
            return None
        ours, theirs = known.choices.filter(self.latents), trace.choices.filter(self.latents)
        if take_apart(ours, once=False).structure != take_apart(theirs, once=False).structure:
            return None
        return self._visit(known.choices, known.score, kernel, info, None)

    def _visit(
        self, choices: ChoiceMap, score: Tensor, kernel: object, info: object, collected: Any
    ) -> Visit:
        moves = moves_of(kernel, info)
        return Visit(choices.filter(self.latents), score, _fields(moves), _counts(moves), collected)


def numbers_as_tensors(value: Any) -> Any:
    """Return a value with tensors in place of Python numbers, through tuples, lists, dicts, choice maps."""
    if isinstance(value, bool | int | float):
        return torch.as_tensor(value)
    if isinstance(value, ChoiceMap):
        return value.map(numbers_as_tensors)
    if type(value) is tuple or type(value) is list:
        return type(value)(map(numbers_as_tensors, value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(numbers_as_tensors, value))
    if type(value) is dict:
        return {key: numbers_as_tensors(part) for key, part in value.items()}
    return value


def _fields(moves: Any) -> dict[tuple[str, str], Tensor]:
    """Return the numbers that kernels reported, averaged over the moves that each kernel took in the step."""
    said: dict[tuple[str, str], list[tuple[Tensor, Move]]] = {}
    for move in moves:
        for name, value in _numbers(move.info):
            said.setdefault((move.kernel, name), []).append((value, move))
    return {key: _mean(values) for key, values in said.items()}


def _mean(values: list[tuple[Tensor, Move]]) -> Tensor:
    taken = [(value, move) for value, move in values if move.taken is not False]
    if len(taken) == 1 and taken[0][1].taken is True:
        return taken[0][0]
    total = torch.zeros((), dtype=torch.float64)
    count = torch.zeros((), dtype=torch.float64)
    for value, move in taken:
        is_taken = torch.as_tensor(move.taken, device=value.device)
        # Not a product: 0 times what a move that was not taken reports may be NaN.
        total = total + torch.where(is_taken, value.double(), 0.0)
        count = count + is_taken
    return total / count


def _counts(moves: Any) -> dict[str, Tensor]:
    counts: dict[str, Tensor] = {}
    for move in moves:
        # A kernel that always moves need not say so.
        accepted = getattr(move.info, ACCEPTED, None)
        if accepted is not None:
            accepted = torch.as_tensor(accepted)
            taken = torch.as_tensor(move.taken, device=accepted.device)
            now = torch.stack([taken.double(), (taken & accepted).double()])
            counts[move.kernel] = counts[move.kernel] + now if move.kernel in counts else now
    return counts


def _numbers(info: object) -> Iterator[tuple[str, Tensor]]:
    """Yield the numbers among the fields of what a kernel returned beside the trace."""
    if isinstance(info, tuple) and hasattr(info, "_fields"):
        pairs = list(zip(info._fields, info, strict=True))
    elif is_dataclass(info) and not isinstance(info, type):
        pairs = [(field.name, getattr(info, field.name)) for field in fields(info)]
    else:
        pairs = []
    for name, value in pairs:
        if isinstance(value, bool | int | float):
            yield name, torch.as_tensor(value)
        elif isinstance(value, Tensor) and not value.dim():
            yield name, value
