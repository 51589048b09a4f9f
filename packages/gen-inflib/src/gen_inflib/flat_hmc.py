"""Hamiltonian Monte Carlo in flat form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, final

import torch
from torch import Tensor

from gen_inflib.accept import choose_values
from gen_inflib.flat import Advanced
from gen_inflib.hmc import HamiltonianInfo, decide
from gen_inflib.integrators import Density, Phase, leapfrog
from gen_inflib.metrics import Metric
from gen_inflib.nuts_tree import Candidate

MOST_UNROLLED: Final = 10
"""So many leapfrogs at most stand in one body: more run no faster, and take longer to compile."""
LEAPFROGS_A_CALL: Final = 1250


class Trajectory(NamedTuple):
    """A transition under way."""

    origin: Phase
    now: Phase
    num_taken: Tensor
    """How many leapfrogs, shape `()`."""


@final
@dataclass(frozen=True)
class FlatHmc:
    """Trajectories that go on by some leapfrogs a body: by all of them, if they are few."""

    num_leapfrogs: int
    name: ClassVar[str] = "hmc"
    num_chances: ClassVar[int] = 1

    @property
    def num_unrolled(self) -> int:
        """How many leapfrogs a body takes: a divisor of their number."""
        most = min(MOST_UNROLLED, self.num_leapfrogs)
        return next(count for count in range(most, 0, -1) if self.num_leapfrogs % count == 0)

    @property
    def num_bodies(self) -> int:
        """How many bodies a call has."""
        return LEAPFROGS_A_CALL // self.num_unrolled

    def plant(self, metric: Metric, here: Candidate, momentum: Tensor, chances: Tensor) -> Any:
        """Return a trajectory of no leapfrogs: a phase, if a body takes all of them."""
        phase = Phase(here.position, momentum, here.log_density, here.gradient)
        if self.num_unrolled == self.num_leapfrogs:
            return phase
        return Trajectory(phase, phase, torch.zeros_like(here.log_density))

    def advance(
        self,
        density: Density,
        metric: Metric,
        step_size: Tensor,
        inner: Any,
        momentum: Tensor,
        chances: Tensor,
    ) -> Advanced:
        """Take some leapfrogs; after the last, accept or stay, and begin anew."""
        is_whole = isinstance(inner, Phase)
        origin, now = (inner, inner) if is_whole else (inner.origin, inner.now)
        step = step_size.to(momentum.dtype)
        for _ in range(self.num_unrolled):
            now = leapfrog(density, metric, now, step)
        info = decide(metric, origin, now, chances[0], step_size)
        reached = choose_values(info.accepted, now, origin)
        fresh = reached._replace(momentum=momentum)
        if is_whole:
            always = torch.ones_like(info.accepted)
            return Advanced(fresh, always, reached.position, reached.log_density, info)
        num_taken = inner.num_taken + self.num_unrolled
        has_ended = num_taken >= self.num_leapfrogs
        following = Trajectory(
            choose_values(has_ended, fresh, origin),
            choose_values(has_ended, fresh, now),
            torch.where(has_ended, 0.0, num_taken),
        )
        return Advanced(following, has_ended, reached.position, reached.log_density, info)

    def info(self, numbers: Sequence[Tensor]) -> HamiltonianInfo:
        """Return the record of a transition."""
        info = HamiltonianInfo(*numbers)
        return info._replace(accepted=info.accepted > 0, diverging=info.diverging > 0)
