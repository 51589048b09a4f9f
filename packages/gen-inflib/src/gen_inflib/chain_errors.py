"""Errors of runs of chains, and of their draws."""

from __future__ import annotations

from gen_core import GenError


class DrawsError(GenError, ValueError):
    """Draws or weights from which nothing can be learnt."""


class StagedBatchError(GenError, RuntimeError):
    """A loop of unknown length in a batch was to be compiled."""

    def __init__(self) -> None:
        super().__init__(
            "A loop whose length depends on values, such as that of a NUTS transition, cannot be compiled in "
            "a batch: each run would stop at another time. Run `adaptive_nuts` by itself, which has a form "
            "for that, run one chain, or use `hmc` in combinations of kernels."
        )


class VaryingStructureError(GenError, ValueError):
    """Something needs draws of one structure."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Expected draws of one structure, but {what}.")


class DrawsNotKeptError(GenError, LookupError):
    """Draws were asked for that were not kept."""

    def __init__(self) -> None:
        super().__init__(
            "The draws were not kept, since `mcmc` ran with keep_draws=False. Read `moments`, or run it "
            "with keep_draws=True."
        )


class UntracedRandomnessError(GenError, ValueError):
    """The choices of a model do not determine its trace."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} draws random numbers that it does not trace, so that its choices do not determine its "
            f"trace, and a chain cannot be resumed from them. Trace them, by `@` an address, or run "
            f"without a checkpoint."
        )


class StartError(GenError, ValueError):
    """Chains cannot start where they were told to."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Chains cannot start: {what}.")


class CheckpointError(GenError, ValueError):
    """A file is no checkpoint of this run."""

    def __init__(self, path: object, what: str) -> None:
        super().__init__(f"{path} is no checkpoint of this run: {what}. Delete it to start anew.")
