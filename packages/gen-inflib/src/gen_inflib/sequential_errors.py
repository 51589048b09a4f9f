"""Errors of sequential Monte Carlo."""

from __future__ import annotations

from collections.abc import Sequence

from gen_core import GenError, Path
from gen_core.address import show
from gen_inflib.errors import ImpossibleObservationsError


class ThresholdError(GenError, ValueError):
    """A threshold of the effective sample size is no share of the particles."""

    def __init__(self, given: object, most: str) -> None:
        super().__init__(
            f"Expected `threshold` to be a share of the particles between 0 and {most}, but got {given!r}."
        )


class DiscardError(GenError, ValueError):
    """A step of sequential Monte Carlo replaced or removed choices, and nobody says how to go back."""

    def __init__(self, model: str, paths: Sequence[Path]) -> None:
        first = ", ".join(map(show, paths[:3])) + (", ..." if len(paths) > 3 else "")
        super().__init__(
            f"Extending {model} replaced or removed the choices at {first}. Give `backward`, which proposes "
            f"the old values from the new trace; or constrain and propose new choices only, and move old "
            f"ones with `rejuvenate`."
        )


class StrataError(GenError, ValueError):
    """There are no strata, or more than particles."""

    def __init__(self, num_strata: int, num_particles: int) -> None:
        super().__init__(
            f"Expected between 1 and num_particles={num_particles} strata, but got {num_strata}. Each "
            f"stratum needs a particle."
        )


class SequenceError(GenError, TypeError):
    """A sequence model was expected, or an observation is outside of it."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"Expected a call of a sequence function, such as Unfold(kernel)(length, initial_state), but got "
            f"one of {given}. For other models use `particle_filter`."
        )

    @classmethod
    def without(cls, observed: object, function: str) -> SequenceError:
        """Return the error for a selection of observations that has none."""
        error = cls("")
        error.args = (
            f"No choice of {function} is observed: {observed!r} selects none. Observed addresses are those "
            f"below the sequence, such as select((ANY, 'y')); if there are none, say NONE.",
        )
        return error

    @classmethod
    def outside(cls, key: object, length: int) -> SequenceError:
        """Return the error for an observation at a step that does not exist."""
        error = cls("")
        error.args = (
            f"Observations are given at {key!r}, but the steps of this model are 0 to {length - 1}. "
            f"Observe addresses (step, ...), or make the model longer.",
        )
        return error


class VaryingStepsError(GenError, ValueError):
    """A compiled filter needs observations of the same addresses and shapes at every step."""

    def __init__(self) -> None:
        super().__init__(
            "The steps observe different addresses or shapes, and a compiled filter is one loop over them. "
            "Observe the same addresses at every step, or leave out compile=True."
        )


class HistoryNotKeptError(GenError, LookupError):
    """What happened at earlier steps was not kept."""

    def __init__(self) -> None:
        super().__init__(
            "The filter ran with keep_history=False. Run it with keep_history=True to read this."
        )


class ImpossibleStepError(ImpossibleObservationsError):
    """Every particle has probability zero at a step."""

    def __init__(self, model: str, step: int) -> None:
        ValueError.__init__(
            self,
            f"At step {step} of {model} every particle has weight -inf: none of them can produce the "
            f"observations of the step. Check these against their supports, use more particles, or give a "
            f"proposal that looks at them.",
        )


class PowersError(GenError, ValueError):
    """The powers of an annealed run do not lead from the prior to the posterior."""

    def __init__(self, powers: Sequence[float]) -> None:
        super().__init__(f"Expected powers that increase from above 0 to 1, but got {list(powers)}.")
