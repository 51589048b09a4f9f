"""Errors of algorithms that move choices on the real line."""

from __future__ import annotations

from gen_core import GenError


class NoBijectionError(GenError, ValueError):
    """A choice cannot be moved to the real line."""

    def __init__(self, support: str, why: str) -> None:
        super().__init__(
            f"The support {support} has no bijection from the real line: {why}. Register one with "
            f"`torch.distributions.biject_to.register`, or leave the choice to another kernel."
        )


class NoPositionError(GenError, ValueError):
    """A selection has no choices, or some that cannot move on the real line."""

    def __init__(self, model: str, what: str) -> None:
        super().__init__(
            f"{what} of {model} cannot be moved on the real line. Select continuous choices; leave others to "
            f"another kernel and combine the two with `cycle`, or name finite ones in `enumerate` of an "
            f"algorithm that follows gradients."
        )

    @classmethod
    def empty(cls, model: str, selection: object) -> NoPositionError:
        """Return the error for a selection that has no choices."""
        error = cls(model, "")
        error.args = (
            f"{model} has no choice that {selection!r} selects. Select choices that it makes; where a trace "
            f"has them only sometimes, apply the kernel by `when`.",
        )
        return error


class ImpossibleStartError(GenError, ArithmeticError):
    """A trace has no finite log density to start from."""

    def __init__(self, model: str, log_density: float, score: float) -> None:
        super().__init__(
            f"The log density of {model} on the real line is {log_density} at the trace to start from, "
            f"whose score is {score}. Start from a trace that is possible; look at the log densities in "
            f"print(trace)."
        )


class StepSizeError(GenError, ValueError):
    """A step size is not a positive number."""

    def __init__(self, given: object) -> None:
        super().__init__(f"Expected `step_size` to be a positive number, but got {given!r}.")


class MetricError(GenError, ValueError):
    """A metric does not fit the choices that it is for, or is not positive."""


class EnumerationError(GenError, ValueError):
    """Finite choices were to be summed over, and cannot be."""


class LaplaceError(GenError, ArithmeticError):
    """There is no Gaussian to put in place of a posterior."""
