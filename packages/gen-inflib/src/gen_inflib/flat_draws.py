"""Draws of all chains in one row, as a model is run for each of them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from gen_core import ChoiceMap, Choices
from gen_core.address import show
from gen_inflib.chain_errors import DrawsError
from gen_inflib.diagnostics.summary import HasDraws, draws_of


class FlatDraws(NamedTuple):
    """Draws without a dimension for the chains."""

    choices: ChoiceMap
    """Each tensor has shape `(num_chains * num_draws, *shape)`."""
    shape: tuple[int, int]
    """The number of chains, and of draws of each."""

    def unflatten(self, found: ChoiceMap) -> ChoiceMap:
        """Return what was found for each draw, of shape `(num_chains, num_draws, *shape)`."""
        return found.map(lambda value: value.unflatten(0, self.shape))


def flat_draws(draws: HasDraws | Choices) -> FlatDraws:
    """Return the draws in one row.

    Raises:
        DrawsError: There are none, or not of as many chains and draws at every address.
    """
    given = draws_of(draws)
    shapes = {path: value.shape[:2] for path, value in given.leaves() if isinstance(value, Tensor)}
    paths = given.paths()
    for path in paths:
        if len(shapes.get(path, ())) < 2 or shapes[path] != shapes[paths[0]]:
            raise DrawsError(
                f"Expected draws that are tensors of shape (num_chains, num_draws, ...), of as many chains "
                f"and draws at every address, but those at {show(path)} are not."
            )
    num_chains, num_draws = shapes[paths[0]]
    return FlatDraws(given.map(lambda value: value.flatten(0, 1)), (num_chains, num_draws))
