"""Errors of staging and of modules."""

from __future__ import annotations

from gen_core import GenError
from gen_core.address import nearest, show_all


class StagingError(GenError, RuntimeError):
    """A function cannot be staged."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"{where} cannot be staged: {reason}. Use torch.where or gen_torch.cond instead of `if`, "
            f"gen_torch.scan, fori_loop or while_loop instead of a loop, and tensors instead of lists that "
            f"are indexed by tensors; or run it without jit."
        )


class LoopError(GenError, ValueError):
    """A loop or branch cannot be compiled as it is written."""


class UnknownParameterError(GenError, KeyError):
    """A value was given for a parameter that a module does not have."""

    def __init__(self, name: str, known: list[str]) -> None:
        near = show_all(nearest((name,), [(other,) for other in known])) if known else "none"
        super().__init__(f"The module has no parameter {name!r}. The nearest of {len(known)}: {near}.")
