"""The no-U-turn sampler in flat form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from gen_inflib.accept import choose_values
from gen_inflib.flat import Advanced
from gen_inflib.integrators import Density
from gen_inflib.metrics import Metric
from gen_inflib.nuts import NutsInfo, info_of
from gen_inflib.nuts_tree import Candidate, Chances, Tree, grow, plant, replant


@final
@dataclass(frozen=True)
class FlatNuts:
    """Trees that grow by one state a body."""

    max_tree_depth: int
    name: ClassVar[str] = "nuts"
    num_chances: ClassVar[int] = 3
    num_bodies: ClassVar[int] = 256

    def plant(self, metric: Metric, here: Candidate, momentum: Tensor, chances: Tensor) -> Tree:
        """Return the tree of one state."""
        return plant(metric, here, momentum, chances[2], self.max_tree_depth)

    def advance(
        self,
        density: Density,
        metric: Metric,
        step_size: Tensor,
        inner: Tree,
        momentum: Tensor,
        chances: Tensor,
    ) -> Advanced:
        """Add a state, and plant a new tree where the old one has ended."""
        drawn = Chances(*chances.unbind())
        tree, has_ended = grow(density, metric, step_size, inner, drawn, self.max_tree_depth)
        fresh = replant(metric, tree, momentum, drawn.direction)
        following = choose_values(has_ended, fresh, tree)
        end = tree.whole.candidate
        return Advanced(following, has_ended, end.position, end.log_density, info_of(tree, step_size))

    def info(self, numbers: Sequence[Tensor]) -> NutsInfo:
        """Return the record of a transition."""
        info = NutsInfo(*numbers)
        return info._replace(diverging=info.diverging > 0)
