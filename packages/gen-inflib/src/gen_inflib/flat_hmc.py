"""Hamiltonian Monte Carlo in flat form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor

from gen_inflib.accept import choose_values
from gen_inflib.flat import Advanced
from gen_inflib.hmc import HamiltonianInfo, decide
from gen_inflib.integrators import Density, Phase, leapfrog
from gen_inflib.metrics import Metric
from gen_inflib.nuts_tree import Candidate


class Trajectory(NamedTuple):
    """A transition under way."""

    origin: Phase
    now: Phase
    num_taken: Tensor
    """How many leapfrogs, shape `()`."""


@final
@dataclass(frozen=True)
class FlatHmc:
    """Trajectories that go on by one leapfrog a body."""

    num_leapfrogs: int
    name: ClassVar[str] = "hmc"
    num_chances: ClassVar[int] = 1

    def plant(self, metric: Metric, here: Candidate, momentum: Tensor, chances: Tensor) -> Trajectory:
        """Return a trajectory of no leapfrogs."""
        phase = Phase(here.position, momentum, here.log_density, here.gradient)
        return Trajectory(phase, phase, torch.zeros_like(here.log_density))

    def advance(
        self,
        density: Density,
        metric: Metric,
        step_size: Tensor,
        inner: Trajectory,
        momentum: Tensor,
        chances: Tensor,
    ) -> Advanced:
        """Take one leapfrog; after the last, accept or stay, and begin anew."""
        origin = inner.origin
        now = leapfrog(density, metric, inner.now, step_size.to(momentum.dtype))
        num_taken = inner.num_taken + 1
        has_ended = num_taken >= self.num_leapfrogs
        info = decide(metric, origin, now, chances[0], step_size)
        reached = choose_values(info.accepted, now, origin)
        fresh = reached._replace(momentum=momentum)
        following = Trajectory(
            choose_values(has_ended, fresh, origin),
            choose_values(has_ended, fresh, now),
            torch.where(has_ended, 0.0, num_taken),
        )
        return Advanced(following, has_ended, reached.position, info)

    def info(self, numbers: Sequence[Tensor]) -> HamiltonianInfo:
        """Return the record of a transition."""
        info = HamiltonianInfo(*numbers)
        return info._replace(accepted=info.accepted > 0, diverging=info.diverging > 0)
