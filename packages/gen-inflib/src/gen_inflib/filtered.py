"""What the particle filter of a sequence returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, final

import torch
from torch import Tensor

from gen_core import Call, ChoiceMap, TraceBatch, batch
from gen_core.choicemap_build import graft
from gen_inflib.replay import replayed
from gen_inflib.sequential_errors import HistoryNotKeptError
from gen_inflib.weighted import Weighted

R_co = TypeVar("R_co", covariant=True)


class Past(NamedTuple):
    """What is kept of a step."""

    choices: Any
    """The choices of all particles that are not observed, before they were resampled again."""
    ancestors: Any
    """Where each of them was before the step, shape `(num_particles,)`."""
    effective_sample_size: Tensor
    collected: Any
    log_total: Tensor
    """What the step adds to the log evidence."""


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Filtered(Generic[R_co]):
    """Particles after the last step, and what they were at each."""

    model: Call[R_co]
    observations: ChoiceMap
    log_weights: Tensor
    """Normalised, shape `(num_particles,)`, in nats."""
    log_marginal_likelihood: Tensor
    """An estimate of log p(observations), shape `()`, in nats; its exponential is unbiased."""
    state: Any
    """What the last step carried on; tensors have the particles as first dimension."""
    effective_sample_sizes: Tensor
    """After each step, shape `(num_steps,)`."""
    collected: Any
    """Weighted means of what was collected, every tensor `(num_steps, ...)`: filtering expectations."""
    pasts: tuple[Past, ...]

    @property
    def log_evidence_of_steps(self) -> Tensor:
        """What each step added to the log marginal likelihood, shape `(num_steps,)`.

        Raises:
            HistoryNotKeptError: `keep_history=False` was given.
        """
        return torch.stack([past.log_total for past in self._history()])

    def expectation(self, function: Callable[[Any], Tensor]) -> Tensor:
        """Return the weighted mean of a function of what the last step carried on, of all particles."""
        values = function(self.state)
        mean: Tensor = torch.tensordot(self.log_weights.exp().to(values), values, 1)
        return mean

    def particles(self) -> Weighted[R_co]:
        """Return the whole traces of the particles, each along its line of ancestors.

        Raises:
            HistoryNotKeptError: `keep_history=False` was given.
            UntracedRandomnessError: The kernel draws what is not traced.
        """
        choices = self._choices()

        def replay(choices: ChoiceMap) -> Any:
            return replayed(self.model, choices.merge(self.observations))

        traces: TraceBatch[R_co] = batch(replay)(choices)
        return Weighted(traces, self.log_weights, self.log_marginal_likelihood)

    def _choices(self) -> ChoiceMap:
        pasts = self._history()
        index = torch.arange(len(self.log_weights), device=self.log_weights.device)
        rows: list[tuple[Any, ChoiceMap]] = []
        for step in range(len(pasts) - 1, -1, -1):
            past = pasts[step]
            rows.append(((step,), past.choices.map(lambda value, at=index: value[at])))
            index = past.ancestors[index]
        return graft(reversed(rows))

    def _history(self) -> tuple[Past, ...]:
        if not self.pasts:
            raise HistoryNotKeptError
        return self.pasts

    def __repr__(self) -> str:
        evidence = float(self.log_marginal_likelihood)
        return f"<{len(self.log_weights)} particles of {self.model!r}, log evidence {evidence:.6g}>"
