"""Hamiltonian Monte Carlo and the no-U-turn sampler that find their step size and metric in warm-up."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any, NamedTuple, TypeVar, final

from torch import Tensor

from gen_core import NONE, Selection, Trace
from gen_core.selection_build import as_selection
from gen_inflib.adaptive import Plain, Progress, Stepped
from gen_inflib.counts import check_count
from gen_inflib.flat_hmc import FlatHmc
from gen_inflib.flat_nuts import FlatNuts
from gen_inflib.hmc import hmc
from gen_inflib.integrators import check_step_size
from gen_inflib.kernel import Kernel
from gen_inflib.kernel_errors import TargetAcceptanceError
from gen_inflib.latent import ALL_LATENT
from gen_inflib.mala import mala
from gen_inflib.marginalised import View, view_of
from gen_inflib.metrics import Metric
from gen_inflib.nuts import nuts
from gen_inflib.tuning import MetricKind, Tuning, first_tuning, fixed_tuning, tuned
from gen_inflib.unconstrained import Scored

R = TypeVar("R")


def adaptive_nuts(
    selection: Selection = ALL_LATENT,
    *,
    target_acceptance: float = 0.8,
    metric: MetricKind = "diagonal",
    max_tree_depth: int = 10,
    enumerate: Selection = NONE,
) -> AdaptiveHamiltonian:
    """Return the no-U-turn sampler that learns while it warms up; `mcmc` runs it.

    It begins with a step size from one leapfrog. Dual averaging moves the step size towards
    `target_acceptance`, and the metric is estimated in windows, as in Stan; each chain learns for itself.

    Args:
        selection: The choices to move, all continuous; by default all that are not observed.
        target_acceptance: The mean acceptance probability to reach; nearer to 1, steps are smaller.
        metric: What to learn of the mass matrix: variances, covariances, or nothing.
        max_tree_depth: As for `nuts`.
        enumerate: As for `nuts`.

    Raises:
        TargetAcceptanceError: `target_acceptance` is not between 0 and 1.

    Source: Hoffman and Gelman, JMLR 15 (2014); the Stan development team, Stan reference manual.
    """
    check_count("max_tree_depth", max_tree_depth)
    return _adaptive(FlatNuts(max_tree_depth), selection, target_acceptance, metric, enumerate)


def adaptive_hmc(
    selection: Selection = ALL_LATENT,
    *,
    num_leapfrogs: int,
    target_acceptance: float = 0.8,
    metric: MetricKind = "diagonal",
    enumerate: Selection = NONE,
) -> AdaptiveHamiltonian:
    """Return Hamiltonian Monte Carlo that learns while it warms up, as `adaptive_nuts` does.

    Args:
        selection: The choices to move, all continuous; by default all that are not observed.
        num_leapfrogs: How many leapfrog steps a transition has.
        target_acceptance: The mean acceptance probability to reach.
        metric: What to learn of the mass matrix: variances, covariances, or nothing.
        enumerate: As for `hmc`.

    Raises:
        TargetAcceptanceError: `target_acceptance` is not between 0 and 1.
    """
    check_count("num_leapfrogs", num_leapfrogs)
    return _adaptive(FlatHmc(num_leapfrogs), selection, target_acceptance, metric, enumerate)


def _adaptive(
    flat: FlatHmc | FlatNuts, selection: Selection, target: float, metric: MetricKind, enumerated: Selection
) -> AdaptiveHamiltonian:
    if not 0 < target < 1:
        raise TargetAcceptanceError(target)
    # Summed choices may be among those that are not observed.
    moved = selection if enumerated is NONE else selection - enumerated
    return AdaptiveHamiltonian(flat, moved, target, metric, enumerated)


class Fixed(NamedTuple):
    """A step size and a metric that stay."""

    step_size: float | Tensor
    metric: Metric


def as_hamiltonian(kernel: object) -> AdaptiveHamiltonian | None:
    """Return `hmc`, `mala` or `nuts` with bound options as a kernel with a flat form; None for others."""
    if isinstance(kernel, AdaptiveHamiltonian):
        return kernel
    inner = kernel.kernel if isinstance(kernel, Plain) else kernel
    if not isinstance(inner, partial) or inner.func not in (hmc, mala, nuts):
        return None
    try:
        bound = signature(inner.func).bind(None, *inner.args, **inner.keywords)
    except TypeError:
        return None  # what is missing is said where the kernel is called
    bound.apply_defaults()
    options = bound.arguments
    check_step_size(options["step_size"])
    metric, enumerated = options["metric"], options["enumerate"]
    flat: FlatHmc | FlatNuts
    if inner.func is nuts:
        check_count("max_tree_depth", options["max_tree_depth"])
        flat = FlatNuts(options["max_tree_depth"])
    else:
        num_leapfrogs = options.get("num_leapfrogs", 1)
        check_count("num_leapfrogs", num_leapfrogs)
        flat = FlatHmc(num_leapfrogs)
    moved = as_selection(options["selection"])
    if enumerated is not NONE:
        moved = moved - enumerated
    fixed = Fixed(options["step_size"], metric)
    return AdaptiveHamiltonian(flat, moved, None, "identity", enumerated, fixed)


@final
@dataclass(frozen=True)
class AdaptiveHamiltonian:
    """An adaptive kernel; made by `adaptive_nuts` and `adaptive_hmc`."""

    flat: FlatHmc | FlatNuts
    selection: Selection
    target_acceptance: float | None
    """None if nothing is learned."""
    metric: MetricKind
    enumerated: Selection
    fixed: Fixed | None = field(default=None, compare=False)
    """What to use instead of learning; it is part of what chains carry, not of what is compiled."""

    @property
    def learns(self) -> bool:
        """Whether warm-up changes anything."""
        return self.target_acceptance is not None

    @property
    def __name__(self) -> str:
        return self.flat.name

    def view(self, trace: Trace[R]) -> View[R]:
        """Return what moves in a trace."""
        return view_of(trace, self.selection, self.enumerated)

    def initial(self, trace: Trace[Any], /) -> Tuning:
        """Return what is known before warm-up."""
        view = self.view(trace)
        return self.initial_at(view, view.start())

    def initial_at(self, view: View[Any], start: tuple[Tensor, Scored]) -> Tuning:
        """Return what is known before warm-up, where the view's start has been looked at."""
        return (
            first_tuning(view, start, self.metric) if self.fixed is None else fixed_tuning(start, *self.fixed)
        )

    def step(self, trace: Trace[Any], state: Any, progress: Progress, /) -> Stepped:
        """Take one transition, and learn from it."""
        moved, info = self.frozen(state)(trace)
        if progress.is_warming_up is False or self.target_acceptance is None:
            return Stepped(moved, state, info)
        position = self.view(moved).position
        acceptance: Tensor = info.acceptance_probability
        learned = tuned(state, position, acceptance, progress, self.target_acceptance)
        return Stepped(moved, learned, info)

    def frozen(self, state: Any, /) -> Kernel[Any]:
        """Return the kernel with the step size and metric that were learned."""
        options: dict[str, Any] = {
            "selection": self.selection,
            "step_size": state.step_size,
            "metric": state.metric,
            "enumerate": self.enumerated,
        }
        if isinstance(self.flat, FlatNuts):
            return partial(nuts, max_tree_depth=self.flat.max_tree_depth, **options)
        return partial(hmc, num_leapfrogs=self.flat.num_leapfrogs, **options)
