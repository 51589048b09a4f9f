"""Errors of inference: what an algorithm was given, or met, that it cannot work with."""

from __future__ import annotations

from collections.abc import Mapping

from gen_core import GenError


class CountError(GenError, ValueError):
    """A number of particles, samples or steps is too small."""

    def __init__(self, name: str, least: int, given: object) -> None:
        super().__init__(f"Expected `{name}` to be an integer of at least {least}, but got {given!r}.")


class ModelError(GenError, TypeError):
    """Something else stands where a model is expected."""

    def __init__(self, given: object, expected: str) -> None:
        super().__init__(f"Expected {expected}, but got {given!r} ({type(given).__name__}).")


class ProposalError(GenError, TypeError):
    """Something else stands where a proposal is expected."""

    def __init__(self, given: object, expected: str) -> None:
        super().__init__(f"Expected {expected}, but got {given!r} ({type(given).__name__}).")


class ImpossibleObservationsError(GenError, ValueError):
    """Every particle has probability zero."""

    def __init__(self, model: str, num_particles: int) -> None:
        super().__init__(
            f"All {num_particles} particles of {model} have weight -inf: none of them can produce the "
            f"observations. Check the observed values against their supports, or give a proposal that "
            f"finds values from which they are possible."
        )


class UndefinedWeightError(GenError, ArithmeticError):
    """A log weight or a log acceptance ratio is no number that an algorithm can use."""

    def __init__(self, what: str, model: str, value: float, parts: Mapping[str, float]) -> None:
        made_of = ", ".join(f"{name} {number:.6g}" for name, number in parts.items())
        super().__init__(
            f"{what} of {model} is {value}, made of: {made_of}. A NaN comes from a density that is NaN or "
            f"from a difference of infinities, for example from a trace of score -inf; look at the log "
            f"densities in print(trace)."
        )


class MissingExtraError(GenError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str, package: str) -> None:
        super().__init__(f'{what} needs {package}. Install it: pip install "gen-inflib[{extra}]".')


class NotANumberError(GenError, ArithmeticError):
    """A number that an algorithm decides by is NaN."""

    def __init__(self, what: str, model: str) -> None:
        super().__init__(
            f"{what} of {model} is NaN. It comes from a density that is NaN or from a difference of "
            f"infinities; look at the log densities in print(trace)."
        )


class OptionsError(GenError, ValueError):
    """Options of an algorithm contradict each other."""
