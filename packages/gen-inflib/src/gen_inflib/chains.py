"""Chains: what `mcmc` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, final

from torch import Tensor

from gen_core import Address, Call, ChoiceMap, Trace, TraceBatch
from gen_inflib.chain_errors import DrawsNotKeptError, VaryingStructureError
from gen_inflib.statistics import Moments
from gen_inflib.stretch import Ragged

R_co = TypeVar("R_co", covariant=True)


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Chains(Generic[R_co]):
    """The draws of Markov chains, and what the kernels said on the way."""

    model: Call[R_co]
    """The model and its arguments."""
    observations: ChoiceMap
    """The values that were observed."""
    num_chains: int
    num_draws: int
    """How many draws were made of each chain, after warm-up and thinning."""
    statistics: Mapping[str, Tensor]
    """Numbers of each draw, every one of shape `(num_chains, num_draws)`.

    `log_density` is the score of the trace; the others are the fields of what the kernel returned, such
    as `accepted`, `log_acceptance_ratio`, `diverging`. Of several composed kernels, a field that only one
    of them has goes by its name, others by `"kernel.field"`; a kernel that took several moves in a step
    reports their mean, and NaN where it took none. Empty where draws are not kept.
    """
    statistic_means: Mapping[str, Tensor]
    """The means of these numbers over all steps after warm-up, shape `(num_chains,)`, in float64."""
    acceptance_rates: Mapping[str, Tensor]
    """By the kernels' names, the share of moves after warm-up that were accepted, shape `(num_chains,)`."""
    move_rates: Mapping[Address, Tensor]
    """By address, the share of steps after warm-up that changed the value, shape `(num_chains,)`."""
    last: TraceBatch[R_co] | tuple[Trace[R_co], ...]
    """The last trace of each chain: a batch, or a tuple where the chains ran one after another."""
    kernel_state: Any
    """What an adaptive kernel has learned: its states with the chains as first dimension, or a tuple."""
    collected: Any = None
    """What `collect` returned, stacked: every tensor is `(num_chains, num_draws, *shape)`.

    A tuple of tuples, by chain, if the values differ in structure; None without `collect`, or where draws
    are not kept.
    """
    moments: Moments[ChoiceMap] | None = None
    """Streaming statistics of the choices, where draws are not kept."""
    collected_moments: Moments[Any] | None = None
    """Streaming statistics of what was collected, where draws are not kept."""
    why_looped: str | None = None
    """Why the chains ran one after another although they could have been batched; None if they were."""
    kept: ChoiceMap | Ragged | None = field(default=None)
    """The choices as they were kept: read `draws` or `choices_of`."""

    @property
    def draws(self) -> ChoiceMap:
        """The choices that are not observed; every tensor is `(num_chains, num_draws, *shape)`.

        Raises:
            VaryingStructureError: The draws do not have the same addresses and shapes.
            DrawsNotKeptError: They were not kept.
        """
        if self.kept is None:
            raise DrawsNotKeptError
        if isinstance(self.kept, Ragged):
            raise VaryingStructureError(
                "the draws differ in their addresses, in the shapes of their values, or in values that are "
                "no tensors, and do not stack. Read `choices_of(chain, draw)` or `traces`; or give `mcmc` a "
                "function `collect` that returns the same numbers for each trace, and read `collected`, for "
                "example by summary({'name': chains.collected})"
            )
        return self.kept

    @property
    def has_fixed_structure(self) -> bool:
        """Whether all draws have the same addresses and shapes, so that `draws` works."""
        return isinstance(self.kept, ChoiceMap)

    def choices_of(self, chain: int, draw: int) -> ChoiceMap:
        """Return the choices of one draw that are not observed."""
        if isinstance(self.kept, Ragged):
            return cast("ChoiceMap", self.kept.rows[draw][chain])
        return self.draws.map(lambda values: values[chain, draw])

    def trace(self, chain: int, draw: int) -> Trace[R_co]:
        """Return one draw as a trace, made again by running the model on its choices.

        Randomness that the model does not trace is drawn anew.
        """
        return self.model.generate(self.observations.merge(self.choices_of(chain, draw))).trace

    @property
    def traces(self) -> tuple[tuple[Trace[R_co], ...], ...]:
        """All draws as traces, by chain, made again as by `trace`: one run of the model each."""
        return tuple(
            tuple(self.trace(chain, draw) for draw in range(self.num_draws))
            for chain in range(self.num_chains)
        )

    def __repr__(self) -> str:
        choices = "choices not kept"
        if isinstance(self.kept, ChoiceMap):
            choices = f"{len(self.kept)} choices"
        elif self.kept is not None:
            choices = "choices of varying structure"
        return (
            f"<{self.num_chains} chain{'s' if self.num_chains != 1 else ''} of {self.num_draws} draws of "
            f"{self.model.gen_fn.name}: {choices}>"
        )
