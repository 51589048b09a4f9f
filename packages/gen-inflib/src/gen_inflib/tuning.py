"""What a warm-up learns for Hamiltonian dynamics: a step size and a metric."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from gen_inflib.accept import choose_values
from gen_inflib.adaptive import Progress
from gen_inflib.dual_averaging import DualAveraging, dual_averaging
from gen_inflib.marginalised import View
from gen_inflib.metrics import DenseMetric, DiagonalMetric, IdentityMetric, Metric, dense_metric
from gen_inflib.running_covariance import RunningCovariance, running_covariance
from gen_inflib.step_size import find_step_size
from gen_inflib.unconstrained import Scored
from gen_inflib.warmup_windows import warmup_windows

MetricKind: TypeAlias = Literal["diagonal", "dense", "identity"]


class Tuning(NamedTuple):
    """The state of an adaptive kernel of Hamiltonian dynamics."""

    step_size: Tensor
    """To use next, shape `()`."""
    metric: Metric
    search: DualAveraging
    moments: RunningCovariance

    def searched(self, acceptance: Tensor, target: float) -> Tuning:
        """Return the tuning with the step size to try next."""
        search = self.search.update(acceptance, target)
        return self._replace(search=search, step_size=search.log_step.exp())

    def with_metric(self) -> Tuning:
        """Return the tuning with the estimated metric; the search for a step size begins again."""
        estimate = self.moments.regularised()
        metric = self.metric
        if isinstance(metric, DiagonalMetric):
            metric = DiagonalMetric(estimate)
        elif isinstance(metric, DenseMetric):
            metric = dense_metric(estimate)
        dense = self.moments.products.dim() == 2
        step_size = self.search.log_average.exp()
        moments = running_covariance(self.moments.mean, dense=dense)
        return Tuning(step_size, metric, dual_averaging(step_size), moments)

    def settled(self) -> Tuning:
        """Return the tuning with the step size to keep."""
        return self._replace(step_size=self.search.log_average.exp())


def first_tuning(view: View[object], start: tuple[Tensor, Scored], kind: MetricKind) -> Tuning:
    """Return what is known before warm-up: a step size from one leapfrog, and the identity."""
    position, here = start
    ones = torch.ones_like(position)
    metric: Metric = IdentityMetric()
    if kind == "diagonal":
        metric = DiagonalMetric(ones)
    elif kind == "dense":
        identity = torch.diag_embed(ones)
        metric = DenseMetric(identity, identity)
    step_size = find_step_size(view.scored, metric, position, here)
    moments = running_covariance(position, dense=kind == "dense")
    return Tuning(step_size, metric, dual_averaging(step_size), moments)


def fixed_tuning(start: tuple[Tensor, Scored], step_size: float | Tensor, metric: Metric) -> Tuning:
    """Return a tuning that says what to use, and has nothing to learn from."""
    position, (log_density, _) = start
    metric.check(len(position))
    step = torch.as_tensor(step_size, dtype=log_density.dtype, device=log_density.device)
    return Tuning(step, metric, dual_averaging(step), running_covariance(position, dense=False))


def tuned(tuning: Tuning, position: Tensor, acceptance: Tensor, progress: Progress, target: float) -> Tuning:
    """Return what is known after a transition.

    Args:
        tuning: What was known before.
        position: Where the transition led, shape `(n,)`.
        acceptance: Its mean acceptance probability, shape `()`.
        progress: The step, and how many warm up.
        target: The wanted acceptance probability.
    """
    step, num_warmup = progress
    windows = warmup_windows(num_warmup)
    now = tuning.searched(acceptance, target)
    counted = now._replace(moments=tuning.moments.add(position.unsqueeze(0)))
    now = choose_values(windows.is_slow(step), counted, now)
    is_last = windows.is_last_of_window(step)
    if is_last is not False:
        now = choose_values(is_last, now.with_metric(), now)
    now = choose_values(step == num_warmup - 1, now.settled(), now)
    return choose_values(progress.is_warming_up, now, tuning)
