"""What an edit does to the log density of a trace, collected by address and summed once at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, final

import torch
from torch import Tensor

from gen_core.choice import ChoiceTrace
from gen_core.numbers import are_plain
from gen_core.readable import values_are_readable
from gen_core.scoring import sum_scores
from gen_core.totals import Score, as_number, as_tensor, is_on_cpu, total

if TYPE_CHECKING:
    from gen_core.trace import Trace


class Settled(NamedTuple):
    """The weight of an edit, and the score of the edited trace; both of shape `()`."""

    weight: Tensor
    score: Score


@final
class Ledger:
    """Choices and callees that an edit has put in and taken out."""

    __slots__ = ("entered", "gained", "gone", "lost", "weights")

    def __init__(self) -> None:
        self.gained: list[ChoiceTrace[Any]] = []
        """Choices whose new density counts in the weight."""
        self.lost: list[ChoiceTrace[Any]] = []
        """Choices whose old density counts in the weight."""
        self.gone: list[Trace[Any]] = []
        """Everything of the old trace that is not in the new one."""
        self.entered: list[Trace[Any]] = []
        """Callees that were run."""
        self.weights: list[Tensor] = []
        """Weights of callees."""

    def settle(
        self, old: Score, new: Score, num_new: int, records: Callable[[], Iterable[Trace[Any]]]
    ) -> Settled:
        """Return the weight and the new score.

        weight = new - old log density where these count, plus the weights of callees;
        score = old - what is gone + what is new, in float64, so that the difference does not drift.

        Args:
            old: The score of the trace that was edited.
            new: The sum of the log densities of all choices made in the edit.
            num_new: Their number.
            records: Returns the traces of all choices and callees of the edited trace.
        """
        if self._are_numbers(old, new, num_new):
            return self._settle_numbers(as_number(old), as_number(new), num_new, records)
        old = as_tensor(old).detach()
        if not isinstance(new, Tensor):
            new = torch.scalar_tensor(new, dtype=old.dtype, device=old.device)
        gained = new if len(self.gained) == num_new else sum_scores(self.gained)
        lost = sum_scores(self.lost)
        weight = total([gained - lost, *self.weights])
        if not values_are_readable() or not math.isfinite(old.item()):
            return Settled(weight, _sum(records()))
        choices = [record for record in self.gone if type(record) is ChoiceTrace]
        callees = [-record.score for record in self.gone if type(record) is not ChoiceTrace]
        kept = old - (lost if choices == self.lost else sum_scores(choices))
        return Settled(weight, total([kept + new, *callees, *(trace.score for trace in self.entered)]))

    def _weight_of_callee(self) -> Tensor | None:
        """Return the weight of the one callee that was run, if that is the weight of the edit as it is."""
        if self.gained or self.lost or len(self.weights) != 1:
            return None
        (weight,) = self.weights
        return weight if weight.dtype is torch.float64 and weight.is_cpu else None

    def _are_numbers(self, old: Score, new: Score, num_new: int) -> bool:
        """Return whether scores may be added up in Python's arithmetic."""
        if torch.is_grad_enabled() or not is_on_cpu(old):
            return False
        if type(new) is float and num_new:
            return True  # choices are scored as numbers only where tensors are plain
        return is_on_cpu(new) and are_plain()

    def _settle_numbers(
        self, old: float, new: float, num_new: int, records: Callable[[], Iterable[Trace[Any]]]
    ) -> Settled:
        """Return the same by Python's arithmetic: a tenth of the time that tensors of one number take."""
        gained = new if len(self.gained) == num_new else sum([choice.score_number for choice in self.gained])
        lost = sum([choice.score_number for choice in self.lost], start=0.0)
        weight = self._weight_of_callee()
        if weight is None:
            weight = as_tensor(gained - lost + sum([weight.item() for weight in self.weights]))
        if not math.isfinite(old):
            return Settled(weight, _sum(records()))
        gone = lost if self.gone == self.lost else sum([record.score_number for record in self.gone])
        return Settled(weight, old - gone + new + sum([trace.score_number for trace in self.entered]))


def _sum(records: Iterable[Trace[Any]]) -> Tensor:
    """Return the score of a trace with these choices and callees: the only way from an impossible one."""
    every = list(records)
    choices = [record for record in every if type(record) is ChoiceTrace]
    return total([sum_scores(choices), *(r.score for r in every if type(r) is not ChoiceTrace)])
