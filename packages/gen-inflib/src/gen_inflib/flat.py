"""Kernels in flat form: chains that differ in the length of their transitions go on leapfrog by leapfrog.

A kernel that loops until its transition ends makes the chains of a batch wait for the slowest, and cannot be
compiled in a batch at all. In flat form one body takes one leapfrog of every chain, whichever transition it
belongs to; what happens where a transition ends happens as `torch.where`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gen_inflib.accept import choose_values
from gen_inflib.dual_averaging import DualAveraging
from gen_inflib.integrators import Density
from gen_inflib.marginalised import View
from gen_inflib.metrics import Metric
from gen_inflib.nuts_tree import Candidate
from gen_inflib.tuning import Tuning
from gen_inflib.unconstrained import Scored


class Advanced(NamedTuple):
    """A chain after one more leapfrog."""

    inner: Any
    """Where it is: in a new transition, if the one before has ended."""
    has_ended: Tensor
    """Whether a transition has ended, shape `()`; the rest is about that one."""
    position: Tensor
    """Where it led, shape `(n,)`."""
    log_density: Tensor
    """There, shape `()`."""
    info: Any
    """A NamedTuple of numbers of shape `()`, with `acceptance_probability`."""


class Flat(Protocol):
    """A kernel in flat form."""

    @property
    def name(self) -> str:
        """The kernel's name."""
        ...

    @property
    def num_chances(self) -> int:
        """How many numbers between 0 and 1 a body needs."""
        ...

    @property
    def num_bodies(self) -> int:
        """How many bodies run between two looks at how far the chains are."""
        ...

    def plant(self, metric: Metric, here: Candidate, momentum: Tensor, chances: Tensor) -> Any:
        """Return the beginning of a first transition: tensors in containers."""
        ...

    def advance(
        self,
        density: Density,
        metric: Metric,
        step_size: Tensor,
        inner: Any,
        momentum: Tensor,
        chances: Tensor,
    ) -> Advanced:
        """Take one leapfrog, and begin a new transition with `momentum` where the old one ends."""
        ...

    def info(self, numbers: Sequence[Tensor]) -> Any:
        """Return the record of a transition from its fields, which all came as floating point numbers."""
        ...


class FlatState(NamedTuple):
    """What goes round the loop."""

    inner: Any
    step_size: Tensor
    search: DualAveraging
    num_made: Tensor
    """The transitions since the loop began, shape `()`."""


class Noise(NamedTuple):
    """Random numbers for one body."""

    normals: Tensor
    """Standard normal, shape `(n,)`."""
    chances: Tensor
    """Uniform between 0 and 1, shape `(num_chances,)`."""


class Emitted(NamedTuple):
    """What one body hands out."""

    position: Tensor
    """Shape `(n,)`."""
    numbers: Tensor
    """Whether a transition has ended, its log density, and its record; shape `(2 + num_fields,)`."""

    @property
    def has_ended(self) -> Tensor:
        """Whether the body ended a transition."""
        return self.numbers[..., 0] > 0

    @property
    def log_density(self) -> Tensor:
        """Of the position."""
        return self.numbers[..., 1]

    @property
    def fields(self) -> tuple[Tensor, ...]:
        """The record of the transition."""
        return self.numbers[..., 2:].unbind(-1)


def begin(flat: Flat, start: tuple[Tensor, Scored], tuning: Tuning, noise: Noise) -> FlatState:
    """Return the state of a chain that starts at a position with its density and gradient."""
    position, (log_density, gradient) = start
    zero = torch.zeros_like(log_density)
    here = Candidate(position, log_density, gradient, zero)
    momentum = tuning.metric.momentum(noise.normals)
    inner = flat.plant(tuning.metric, here, momentum, noise.chances)
    return FlatState(inner, tuning.step_size, tuning.search, zero)


def body(
    flat: Flat,
    target: float | None,
    view: View[Any],
    metric: Metric,
    limit: Tensor,
    state: FlatState,
    noise: Noise,
) -> tuple[FlatState, Emitted]:
    """Take one leapfrog of one chain.

    Args:
        flat: The kernel.
        target: The acceptance probability that the step size is to reach; None if it stays.
        view: What moves.
        metric: The mass matrix.
        limit: In so many transitions the step size is adapted, shape `()`.
        state: Where the chain is.
        noise: Random numbers.
    """
    momentum = metric.momentum(noise.normals)
    moved = flat.advance(view.scored, metric, state.step_size, state.inner, momentum, noise.chances)
    search, step_size = state.search, state.step_size
    if target is not None:
        searched = search.update(moved.info.acceptance_probability, target)
        learns = moved.has_ended & (state.num_made < limit)
        search = choose_values(learns, searched, search)
        step_size = torch.where(learns, searched.log_step.exp(), step_size)
    dtype = state.num_made.dtype
    after = FlatState(moved.inner, step_size, search, state.num_made + moved.has_ended.to(dtype))
    numbers = (moved.has_ended, moved.log_density, *moved.info)
    return after, Emitted(moved.position, torch.stack([number.to(dtype) for number in numbers]))
