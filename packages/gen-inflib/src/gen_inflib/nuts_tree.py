"""The trajectory of the no-U-turn sampler as a state machine: one leapfrog a step, everything else `where`.

That form batches (chains whose trees differ go side by side), stages, and is one loop when it is compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gen_inflib.accept import choose_values
from gen_inflib.integrators import (
    MAX_ENERGY_ERROR,
    Density,
    Phase,
    energy,
    leapfrog,
    log_ratio,
)
from gen_inflib.metrics import Metric


class Candidate(NamedTuple):
    """A state that a tree offers as the next of the chain."""

    position: Tensor
    log_density: Tensor
    gradient: Tensor
    log_weight: Tensor
    """The energy at the tree's start less the energy here."""


class Part(NamedTuple):
    """A tree, or the half that is growing."""

    candidate: Candidate
    """One of its states, drawn in proportion to their weights exp(-energy)."""
    log_weight: Tensor
    """The log of the sum of the weights."""
    momentum: Tensor
    """The sum of the momenta."""


class Tree(NamedTuple):
    """A trajectory that doubles until it turns back. Numbers, counts too, have the log density's dtype."""

    left: Phase
    """The end towards negative times."""
    right: Phase
    """The end towards positive times."""
    whole: Part
    """The trajectory up to the last doubling."""
    half: Part
    """What the current doubling has added."""
    depth: Tensor
    """How many doublings are complete."""
    leaf: Tensor
    """How many states the current one has added."""
    direction: Tensor
    """Whether it adds at the right (1) or at the left (-1)."""
    start_energy: Tensor
    sum_acceptance: Tensor
    """The sum of min(1, exp(log weight)) over all states but the first."""
    num_leapfrogs: Tensor
    starts: Checkpoints
    """The first states of the subtrees that are open."""
    diverging: Tensor
    """1 where a state's energy was too large."""


class Checkpoints(NamedTuple):
    """Row k - 1 is of the latest subtree of 2^k states in the current doubling."""

    momentum: Tensor
    """At its first state, shape `(levels, n)`."""
    sum: Tensor
    """Of the momenta of the doubling up to and with that state, shape `(levels, n)`."""


class Chances(NamedTuple):
    """Numbers drawn uniformly between 0 and 1, for one step."""

    leaf: Tensor
    half: Tensor
    direction: Tensor


class Grown(NamedTuple):
    """A tree after one more leapfrog."""

    tree: Tree
    has_ended: Tensor
    """Whether the transition is over: its result is the candidate of `tree.whole`. Shape `()`."""


def plant(metric: Metric, here: Candidate, momentum: Tensor, chance: Tensor, max_tree_depth: int) -> Tree:
    """Return the tree of one state."""
    zero = torch.zeros_like(here.log_density)
    root = Phase(here.position, momentum, here.log_density, here.gradient)
    part = Part(here._replace(log_weight=zero), zero, momentum)
    rows = momentum.expand(max(max_tree_depth - 1, 1), -1)
    return Tree(
        left=root,
        right=root,
        whole=part,
        half=part,
        depth=zero,
        leaf=zero,
        direction=_direction(chance, zero),
        start_energy=energy(metric, root),
        sum_acceptance=zero,
        num_leapfrogs=zero,
        starts=Checkpoints(rows, rows),
        diverging=zero,
    )


def replant(metric: Metric, tree: Tree, momentum: Tensor, chance: Tensor) -> Tree:
    """Return the tree of one state that starts where the transition of `tree` has led."""
    fresh = plant(metric, tree.whole.candidate, momentum, chance, 1)
    # What is overwritten before it is read stays, which costs nothing.
    return fresh._replace(starts=tree.starts, half=tree.half)


def grow(
    density: Density, metric: Metric, step_size: Tensor, tree: Tree, chances: Chances, max_tree_depth: int
) -> Grown:
    """Add one state to a tree.

    Within a doubling, states are drawn in proportion to exp(-energy); the result of a complete doubling
    replaces the candidate with probability min(1, its weight / the weight before). The trajectory ends
    where it, or a subtree of the current doubling, turns back by the generalised criterion

        v_left . (rho - (p_left + p_right) / 2) <= 0    or    v_right . (...) <= 0,

    with rho the sum of momenta and v = M^-1 p; after `max_tree_depth` doublings; or where it diverges. The
    subtrees are not held: the first state of each that is open is enough.

    Source: Betancourt, A conceptual introduction to Hamiltonian Monte Carlo (2017), appendix A; for
    subtrees without recursion, Phan, Pradhan and Jankowiak, Composable effects for flexible and accelerated
    probabilistic programming in NumPyro (2019), appendix A.
    """
    is_right = tree.direction > 0
    before = choose_values(is_right, tree.right, tree.left)
    now = leapfrog(density, metric, before, (tree.direction * step_size).to(before.position.dtype))
    weight = log_ratio(tree.start_energy, energy(metric, now))
    diverges = weight < -MAX_ENERGY_ERROR
    left, right = choose_values(is_right, tree.left, now), choose_values(is_right, now, tree.right)
    half = _add_leaf(tree, now, weight, chances.leaf)
    starts, turns = _check_subtrees(metric, tree, now.momentum, half.momentum)
    leaf = tree.leaf + 1
    is_full = leaf == torch.exp2(tree.depth)
    is_broken = diverges | turns
    joins = is_full & ~is_broken
    whole = choose_values(joins, _join(tree.whole, half, chances.half), tree.whole)
    depth = torch.where(joins, tree.depth + 1, tree.depth)
    turned = joins & _turns(metric, left.momentum, right.momentum, whole.momentum)
    grown = Tree(
        left=left,
        right=right,
        whole=whole,
        half=half,
        depth=depth,
        leaf=torch.where(joins, 0.0, leaf),
        direction=torch.where(joins, _direction(chances.direction, leaf), tree.direction),
        start_energy=tree.start_energy,
        sum_acceptance=tree.sum_acceptance + weight.clamp(max=0.0).exp(),
        num_leapfrogs=tree.num_leapfrogs + 1,
        starts=starts,
        diverging=diverges.to(leaf.dtype),
    )
    return Grown(grown, is_broken | turned | (depth >= max_tree_depth))


def _add_leaf(tree: Tree, now: Phase, weight: Tensor, chance: Tensor) -> Part:
    """Return the current half with one more state."""
    is_first = tree.leaf == 0
    half = tree.half
    log_weight = torch.where(is_first, weight, torch.logaddexp(half.log_weight, weight))
    takes = is_first | (chance < (weight - log_weight).exp())
    candidate = Candidate(now.position, now.log_density, now.gradient, weight)
    momentum = torch.where(is_first, now.momentum, half.momentum + now.momentum)
    return Part(choose_values(takes, candidate, half.candidate), log_weight, momentum)


def _join(whole: Part, half: Part, chance: Tensor) -> Part:
    """Return a trajectory with a complete half added."""
    takes = chance < (half.log_weight - whole.log_weight).exp()
    return Part(
        choose_values(takes, half.candidate, whole.candidate),
        torch.logaddexp(whole.log_weight, half.log_weight),
        whole.momentum + half.momentum,
    )


def _check_subtrees(
    metric: Metric, tree: Tree, momentum: Tensor, total: Tensor
) -> tuple[Checkpoints, Tensor]:
    """Note the subtrees that the new state begins, and return whether one that it ends has turned."""
    rows = len(tree.starts.momentum)
    sizes = torch.exp2(torch.arange(1, rows + 1, dtype=tree.leaf.dtype, device=tree.leaf.device))
    begins = (tree.leaf % sizes == 0).unsqueeze(-1)
    ends = (tree.leaf + 1) % sizes == 0
    first = torch.where(begins, momentum, tree.starts.momentum)
    sums = torch.where(begins, total, tree.starts.sum)
    turned = _turns(metric, first, momentum, total - sums + first)
    return Checkpoints(first, sums), (ends & turned).any()


def _turns(metric: Metric, first: Tensor, last: Tensor, total: Tensor) -> Tensor:
    """Return whether trajectories turn back, shape `(...)`: given momenta at the ends and their sum."""
    # Half of each end, as the trapezoidal rule has it.
    velocity = metric.velocity(total - 0.5 * (first + last))
    return ((velocity * first).sum(-1) <= 0) | ((velocity * last).sum(-1) <= 0)


def _direction(chance: Tensor, like: Tensor) -> Tensor:
    return torch.where(chance < 0.5, -1.0, 1.0).to(like.dtype)
