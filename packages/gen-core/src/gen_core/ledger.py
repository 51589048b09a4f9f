"""What an edit does to the log density of a trace, collected by address and summed once at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, final

import torch

from gen_core.choice import ChoiceTrace
from gen_core.readable import values_are_readable
from gen_core.scoring import sum_scores
from gen_core.totals import total

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.trace import Trace


@final
class Ledger:
    """Choices and callees that an edit has put in and taken out."""

    __slots__ = ("_change", "_sum_lost", "entered", "gained", "gone", "lost", "weights")

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
        self._sum_lost: tuple[list[ChoiceTrace[Any]], Tensor] | None = None
        self._change: float | None = None
        """What the choices made in the edit gain over those that are lost, if these are all."""

    def weight(self, new: Tensor, num_new: int) -> Tensor:
        """Return new - old log density where these count, plus the weights of callees, shape `()`.

        Args:
            new: The sum of the log densities of all choices made in the edit.
            num_new: Their number.
        """
        gained = new if len(self.gained) == num_new else sum_scores(self.gained)
        if not self.weights and _are_numbers(new):
            # Python adds numbers in a tenth of the time that torch takes for tensors of one number.
            change = gained.item() - sum(map(_number, self.lost))
            if gained is new:
                self._change = change
            return new.new_tensor(change)
        return total([gained - self._sum_of(self.lost), *self.weights])

    def score(self, old: Tensor, new: Tensor, records: Callable[[], Iterable[Trace[Any]]]) -> Tensor:
        """Return the score of the edited trace, shape `()`.

        Args:
            old: The score of the trace that was edited.
            new: The sum of the log densities of all choices made in the edit.
            records: Returns the traces of all choices and callees of the edited trace.
        """
        # In float64 the difference does not drift; from or to an impossible trace it has no meaning.
        old = old.detach()
        if values_are_readable() and math.isfinite(old.item()):
            if self._change is not None and self.gone == self.lost and not self.entered:
                return new.new_tensor(old.item() + self._change)
            choices = [record for record in self.gone if type(record) is ChoiceTrace]
            callees = [-record.score for record in self.gone if type(record) is not ChoiceTrace]
            kept = old - self._sum_of(choices)
            return total([kept + new, *callees, *(trace.score for trace in self.entered)])
        every = list(records())
        choices = [record for record in every if type(record) is ChoiceTrace]
        return total([sum_scores(choices), *(r.score for r in every if type(r) is not ChoiceTrace)])

    def _sum_of(self, choices: list[ChoiceTrace[Any]]) -> Tensor:
        """Return the sum of old scores; what the weight has lost is most often what is gone."""
        if self._sum_lost is None or self._sum_lost[0] != choices:
            self._sum_lost = choices, sum_scores(choices)
        return self._sum_lost[1]


def _are_numbers(new: Tensor) -> bool:
    """Return whether scores are numbers that Python may read without waiting for a device."""
    return new.device.type == "cpu" and not torch.is_grad_enabled() and values_are_readable()


def _number(choice: ChoiceTrace[Any]) -> float:
    return choice.score.item()
