"""Weighted traces: an approximation of a posterior, and of the evidence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast, final

import torch
from torch import Tensor

from gen_core import NotBatchableError, Trace, TraceBatch, batch
from gen_inflib.counts import check_count
from gen_inflib.diagnostics.pareto import pareto_k
from gen_inflib.errors import ImpossibleObservationsError, UndefinedWeightError
from gen_inflib.resampling import multinomial

R_co = TypeVar("R_co", covariant=True)


@final
@dataclass(frozen=True, slots=True, repr=False)
class Weighted(Generic[R_co]):
    """Traces with weights: what importance sampling and sequential Monte Carlo return. Immutable."""

    traces: TraceBatch[R_co] | tuple[Trace[R_co], ...]
    """A batch, or a tuple where the model could not be batched."""
    log_weights: Tensor
    """Normalised, so that their exponentials sum to 1; shape `(num_particles,)`, in nats."""
    log_marginal_likelihood: Tensor
    """An estimate of log p(observations), shape `()`, in nats; its exponential is unbiased.

    Of all observations so far: resampling and moving leave it as it is.
    """
    ancestors: Tensor | None = None
    """Where particles were last resampled, the index that each had before; shape `(num_particles,)`."""
    why_looped: str | None = None
    """Why the particles are run one after another although batches were allowed; None if they are not."""

    def __len__(self) -> int:
        return len(self.log_weights)

    @property
    def effective_sample_size(self) -> Tensor:
        """One over the sum of the squared weights, shape `()`: between 1 and the number of traces."""
        return (-(2 * self.log_weights).logsumexp(0)).exp()

    @property
    def pareto_k(self) -> Tensor:
        """The tail of the weights, shape `()`: above 0.7 averages are not to be trusted."""
        return pareto_k(self.log_weights)

    def expectation(self, function: Callable[[Trace[R_co]], Tensor | float]) -> Tensor:
        """Return the weighted mean of `function` over the traces, in the weights' dtype.

        Args:
            function: Maps a trace to a number or a tensor; all of one shape.

        Returns:
            The shape that `function` returns.
        """
        values = self._values(function).to(self.log_weights)
        # What has no weight does not count, whatever its value.
        weights = self.log_weights.exp().reshape(-1, *[1] * (values.dim() - 1))
        return torch.where(weights > 0, weights * values, 0.0).sum(0)

    def sample(self, num_samples: int) -> TraceBatch[R_co] | tuple[Trace[R_co], ...]:
        """Draw traces in proportion to their weights, independently and with replacement."""
        check_count("num_samples", num_samples)
        indices = multinomial(self.log_weights, num_samples)
        order = torch.randperm(num_samples)
        drawn: TraceBatch[R_co] | tuple[Trace[R_co], ...] = taken(self.traces, indices[order])
        return drawn

    def __repr__(self) -> str:
        return (
            f"<{len(self)} weighted traces of {self.traces[0].gen_fn.name}: log evidence "
            f"{float(self.log_marginal_likelihood):.6g}, effective sample size "
            f"{float(self.effective_sample_size):.3g}>"
        )

    def _values(self, function: Callable[[Trace[Any]], Any]) -> Tensor:
        traces: Any = self.traces
        if isinstance(traces, TraceBatch):
            try:
                values = batch(cast("Callable[[Any], Any]", function))(traces)
            except NotBatchableError:  # such as float(trace["x"])
                pass
            else:
                column = torch.as_tensor(values)
                return column if isinstance(values, Tensor) else column.expand(len(self))
        return torch.stack([torch.as_tensor(function(trace)) for trace in traces])


def weighted(
    traces: TraceBatch[R_co] | tuple[Trace[R_co], ...],
    log_weights: Tensor,
    *,
    log_evidence: Tensor | float = 0.0,
    ancestors: Tensor | None = None,
    why_looped: str | None = None,
) -> Weighted[R_co]:
    """Return traces with weights that need not be normalised.

    Args:
        traces: The traces.
        log_weights: Shape `(num_particles,)`; the mean of their exponentials, times that of
            `log_evidence`, estimates the evidence.
        log_evidence: The evidence so far.
        ancestors: As in `Weighted`.
        why_looped: As in `Weighted`.

    Raises:
        ImpossibleObservationsError: Every weight is -inf.
        UndefinedWeightError: A weight is NaN or +inf.
    """
    check_weights(traces, log_weights)
    log_total = log_weights.logsumexp(0)
    if log_total == -math.inf:
        raise ImpossibleObservationsError(traces[0].gen_fn.name, len(log_weights))
    evidence = log_evidence + log_total - math.log(len(log_weights))
    return Weighted(traces, log_weights - log_total, evidence, ancestors, why_looped)


def check_weights(traces: Any, log_weights: Tensor) -> None:
    """Raise UndefinedWeightError if a weight is NaN or +inf."""
    bad = torch.isnan(log_weights) | (log_weights == math.inf)
    if bad.any():
        first = int(bad.int().argmax())
        trace = traces[first]
        parts = {"particle": first, "score of its trace": float(trace.score)}
        raise UndefinedWeightError(
            "The log weight of a particle", trace.gen_fn.name, float(log_weights[first]), parts
        )


def taken(traces: Any, indices: Tensor) -> Any:
    """Return the traces at `indices`, as a batch if they are one."""
    if isinstance(traces, TraceBatch):
        return traces.gather(indices)
    return tuple(traces[index] for index in indices.tolist())
