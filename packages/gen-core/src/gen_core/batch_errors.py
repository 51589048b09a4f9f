"""Errors of batches."""

from __future__ import annotations

from gen_core.errors import GenError


class BatchSizeError(GenError, ValueError):
    """The arguments of a batch do not say, or do not agree on, how many runs there are."""


class BatchStructureError(GenError, ValueError):
    """Traces that are not of one structure were to become a batch."""


class NotBatchableError(GenError, RuntimeError):
    """A function cannot run for many arguments at once."""

    def __init__(self, where: str | None, reason: str) -> None:
        super().__init__(
            f"{where or 'The function'} cannot be batched: {reason}. Use torch.where instead of `if`, a "
            f"fixed number of choices instead of a random one, or batch(..., fallback='loop')."
        )
