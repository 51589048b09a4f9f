"""`ALL_LATENT`: every choice that is not observed, where a runner knows which those are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, final

from gen_core import ALL, Selection
from gen_core.address import PathPart
from gen_inflib.kernel_errors import UnknownLatentsError


@final
@dataclass(frozen=True, slots=True)
class _Latent(Selection):
    """What is latent in the run that is under way."""

    def child(self, key: PathPart, /) -> Selection:
        return _current().child(key)

    @property
    def selects_here(self) -> bool:
        return _current().selects_here

    def __repr__(self) -> str:
        return "ALL_LATENT"

    def __reduce__(self) -> str:
        return "ALL_LATENT"


ALL_LATENT: Final[Selection] = _Latent()
"""Every choice that is not observed, in kernels that `mcmc` runs; also in `ALL_LATENT - select("z")`."""


@contextmanager
def latents(selection: Selection | None = None) -> Iterator[None]:
    """Say what `ALL_LATENT` selects while the block runs."""
    token = _latents.set(ALL if selection is None else selection)
    try:
        yield
    finally:
        _latents.reset(token)


def _current() -> Selection:
    selection = _latents.get()
    if selection is None:
        raise UnknownLatentsError
    return selection


_latents: ContextVar[Selection | None] = ContextVar("gen_latents", default=None)
