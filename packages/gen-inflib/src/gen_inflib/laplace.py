"""Laplace's approximation: a Gaussian on the real line, at the mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor
from torch.optim import Optimizer

from gen_core import NONE, Call, Choices, NotBatchableError, Selection, Trace, batch
from gen_distributions import normal
from gen_inflib.counts import check_count
from gen_inflib.map_optimize import LINE_SEARCH_LBFGS, climb
from gen_inflib.marginalised import View
from gen_inflib.modes import start_of
from gen_inflib.position_errors import LaplaceError
from gen_inflib.scorer import Climbable, scorer
from gen_inflib.weighted import Weighted, weighted

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@final
@dataclass(frozen=True, repr=False)
class Laplace(Generic[R_co]):
    """A Gaussian on the real line in place of a posterior."""

    mode: Trace[R_co]
    """The trace at the mode of the density on the real line."""
    position: Tensor
    """The mode, shape `(n,)`, in the order of `Unconstrained`."""
    covariance: Tensor
    """The inverse of minus the Hessian of the log density there, shape `(n, n)`."""
    log_marginal_likelihood: Tensor
    """log density(mode) + n/2 log 2 pi + 1/2 log det covariance, shape `()`, in nats."""
    view: View[R_co]

    def sample(self, num_samples: int) -> Weighted[R_co]:
        """Draw from the Gaussian, and weigh by the ratio of the posterior density to the Gaussian's.

        The weights correct the approximation: expectations are those of importance sampling, and so is
        `log_marginal_likelihood` of what is returned. They do not sum over choices in `enumerate`, which
        are drawn.

        Raises:
            CountError: `num_samples` is less than 1.
        """
        check_count("num_samples", num_samples)
        noise = normal.sample(self.position.new_zeros(num_samples, len(self.position)), 1.0)
        lower = torch.linalg.cholesky(self.covariance)
        positions = self.position + noise @ lower.mT
        log_scale = lower.diagonal().log().sum() + 0.5 * len(self.position) * math.log(2 * math.pi)
        proposed = -0.5 * noise.square().sum(-1).double() - log_scale.double()
        traces, densities, why_looped = self._at(positions)
        return weighted(traces, densities - proposed, why_looped=why_looped)

    def __repr__(self) -> str:
        return (
            f"<Gaussian of {len(self.position)} numbers for {self.mode.gen_fn.name}: log evidence "
            f"{float(self.log_marginal_likelihood):.6g}>"
        )

    def _at(self, positions: Tensor) -> tuple[Any, Tensor, str | None]:
        def at(position: Tensor) -> tuple[Any, Tensor]:
            return self.view.refreshed(self.view.trace_at(position)), self.view.log_density(position)

        with torch.no_grad():
            try:
                traces, densities = batch(at)(positions)
                return traces, densities, None
            except NotBatchableError as error:
                pairs = [at(position) for position in positions]
                return tuple(t for t, _ in pairs), torch.stack([d for _, d in pairs]), str(error)


def laplace(
    start: Trace[R] | Call[R],
    observations: Choices | None = None,
    *,
    selection: Selection | None = None,
    optimizer: Callable[[Iterable[Tensor]], Optimizer] = LINE_SEARCH_LBFGS,
    num_steps: int = 100,
    tolerance: float = 1e-3,
    enumerate: Selection = NONE,
    compile: bool = False,
) -> Laplace[R]:
    """Approximate the posterior of the selected choices by a Gaussian on the real line, at the mode.

    The mode is that of the density of the unconstrained position, Jacobian included (see `map_optimize`).

    Args:
        start: As for `map_optimize`.
        observations: As for `map_optimize`.
        selection: As for `map_optimize`.
        optimizer: As for `map_optimize`.
        num_steps: As for `map_optimize`.
        tolerance: How far below the mode the density may be where the search ends, in nats, judged by the
            Gaussian: half of gradient^T covariance gradient.
        enumerate: As for `map_optimize`.
        compile: As for `map_optimize`. The Hessian, which is needed once, is not compiled.

    Raises:
        LaplaceError: The search did not reach a mode, or the density is not curved downwards there.
        OptionsError: A trace came without a selection, or a call without observations.
        ImpossibleStartError: The start has no finite density.
        StagingError: With compile=True, control flow depends on the value of a tensor.

    Source: Tierney and Kadane, Journal of the American Statistical Association 81 (1986).
    """
    check_count("num_steps", num_steps)
    trace, moving = start_of(start, observations, selection)
    climbable = Climbable.of(trace, moving, enumerate, jacobian=True)
    view = climbable.view(trace)
    score = scorer(climbable, view, "laplace", compile=compile)
    found, position = climb(view, score, optimizer, num_steps, 0.0)
    covariance, log_det = _covariance(view, position)
    gradient = view.scored(position).gradient
    gap = float(0.5 * gradient @ covariance @ gradient)
    if not gap <= tolerance:
        raise LaplaceError(
            f"The search for a mode of {trace.gen_fn.name} ended {gap:.3g} nats below it. Take more steps, "
            f"start elsewhere, or raise the tolerance."
        )
    log_volume = 0.5 * len(position) * math.log(2 * math.pi) + 0.5 * log_det
    return Laplace(found.trace, position, covariance, found.log_density + log_volume, view)


def _covariance(view: View[Any], position: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverse of minus the Hessian, and its log determinant in float64."""
    precision = -hessian(view, position)
    lower, failed = torch.linalg.cholesky_ex(precision)
    if bool(failed) or not bool(precision.isfinite().all()):
        least = float(torch.linalg.eigvalsh(precision.nan_to_num()).min())
        raise LaplaceError(
            f"The log density of {view.trace.gen_fn.name} is not curved downwards in all directions where "
            f"the search for a mode ended: the least eigenvalue of minus its Hessian is {least:.3g}. A "
            f"density without a mode on the real line has no Laplace approximation."
        )
    return torch.cholesky_inverse(lower), -2 * lower.diagonal().log().sum().double()


def hessian(view: View[Any], position: Tensor) -> Tensor:
    """Return the second derivatives of the log density, shape `(n, n)`, symmetric."""
    with torch.enable_grad():
        at = position.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(
            view.log_density(at), at, create_graph=True, allow_unused=True, materialize_grads=True
        )
        rows = [
            torch.autograd.grad(element, at, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
            if element.requires_grad
            else torch.zeros_like(at)
            for element in gradient
        ]
    matrix = torch.stack(rows)
    return 0.5 * (matrix + matrix.mT)
