"""The no-U-turn sampler: Hamiltonian Monte Carlo that finds by itself how far to go."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import NONE, Selection, Trace
from gen_distributions import normal, uniform
from gen_inflib.accept import choose_values
from gen_inflib.counts import check_count
from gen_inflib.integrators import Density, check_step_size
from gen_inflib.iteration import iterate_while
from gen_inflib.marginalised import view_of
from gen_inflib.metrics import IDENTITY, Metric
from gen_inflib.moved import moved
from gen_inflib.nuts_tree import Candidate, Chances, Grown, Tree, grow, plant

R = TypeVar("R")


class NutsInfo(NamedTuple):
    """What happened in one transition of the no-U-turn sampler."""

    acceptance_probability: Tensor
    """The mean over the trajectory of min(1, exp(energy at the start - energy)), shape `()`."""
    energy: Tensor
    """The Hamiltonian at the state that the transition ends in, with its momentum, shape `()`."""
    diverging: Tensor
    """Whether the energy grew by more than 1000 or became undefined, shape `()`."""
    num_leapfrogs: Tensor
    """How many gradients the transition took, shape `()`."""
    tree_depth: Tensor
    """How many times the trajectory doubled, shape `()`."""
    step_size: Tensor
    """The one that was used, shape `()`."""


def nuts(
    trace: Trace[R],
    selection: Selection,
    *,
    step_size: float | Tensor,
    metric: Metric = IDENTITY,
    max_tree_depth: int = 10,
    enumerate: Selection = NONE,
) -> tuple[Trace[R], NutsInfo]:
    """Take one transition that leaves the distribution proportional to exp(score) as it is.

    A momentum p ~ N(0, M) is drawn, and the trajectory of the leapfrog through the trace's position on the
    real line doubles, forward or backward in time, until it turns back. The next state is one of the
    trajectory's, with probabilities that favour the later doublings: see `nuts_tree.grow`.

    Args:
        trace: The current trace.
        selection: The choices to move, all continuous.
        step_size: The time of one leapfrog step, positive.
        metric: The mass matrix M.
        max_tree_depth: How often the trajectory may double: it has at most 2^max_tree_depth states.
        enumerate: Finite choices to sum over while the others move; they are drawn given the others after.

    Returns:
        The new trace, and what happened.

    Raises:
        StepSizeError: `step_size` is not positive.
        ImpossibleStartError: The trace has no finite log density.
        NoPositionError: A selected choice is discrete, or none is selected.
        MetricError: The metric is for another number of choices.
        StagedBatchError: It is compiled in a batch; `adaptive_nuts` has a form for that.

    Source: Hoffman and Gelman, JMLR 15 (2014); with multinomial sampling, Betancourt, A conceptual
    introduction to Hamiltonian Monte Carlo (2017).
    """
    check_step_size(step_size)
    check_count("max_tree_depth", max_tree_depth)
    view = view_of(trace, selection, enumerate)
    metric.check(view.size)
    position, (log_density, gradient) = view.start()
    here = Candidate(position, log_density, gradient, torch.zeros_like(log_density))
    tree = transition(view.scored, metric, torch.as_tensor(step_size), here, max_tree_depth)
    candidate, info = tree.whole.candidate, info_of(tree, step_size)
    # There is always a move, if only to where the trace is.
    return moved(view, torch.ones_like(info.diverging), candidate.position), info


def transition(
    density: Density, metric: Metric, step_size: Tensor, here: Candidate, max_tree_depth: int
) -> Tree:
    """Return the trajectory of one transition, whole."""
    momentum = metric.momentum(normal.sample(torch.zeros_like(here.position), 1.0))
    tree = plant(metric, here, momentum, _chances(here.log_density).direction, max_tree_depth)

    def step(now: Grown) -> Grown:
        chances = _chances(now.tree.start_energy)
        grown = grow(density, metric, step_size, now.tree, chances, max_tree_depth)
        # In a batch, trees that have ended wait for the others.
        return choose_values(now.has_ended, now, grown)

    start = Grown(tree, torch.zeros_like(tree.leaf, dtype=torch.bool))
    return iterate_while(lambda now: ~now.has_ended, step, start).tree


def info_of(tree: Tree, step_size: float | Tensor) -> NutsInfo:
    """Return the record of a transition that has ended."""
    return NutsInfo(
        acceptance_probability=tree.sum_acceptance / tree.num_leapfrogs,
        energy=tree.start_energy - tree.whole.candidate.log_weight,
        diverging=tree.diverging > 0,
        num_leapfrogs=tree.num_leapfrogs,
        tree_depth=tree.depth,
        step_size=torch.as_tensor(step_size, dtype=tree.depth.dtype, device=tree.depth.device),
    )


def _chances(like: Tensor) -> Chances:
    return Chances(*uniform.sample(like.new_zeros(3), 1.0).unbind())
