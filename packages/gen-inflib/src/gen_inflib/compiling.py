"""Compiling what an algorithm does, where gen-torch is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gen_core import MissingPackageError, plugins


def compiled(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """Return `function` compiled by `gen_torch.jit`.

    Raises:
        MissingPackageError: gen-torch is not installed; `what` is what needs it.
    """
    try:
        from gen_torch import jit
    except ImportError:
        raise MissingPackageError(what, "gen-torch", plugins.broken) from None
    return jit(function)
