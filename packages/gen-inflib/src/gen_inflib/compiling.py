"""Compiling what an algorithm does, where gen-torch is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gen_inflib.errors import MissingExtraError


def compiled(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """Return `function` compiled by `gen_torch.jit`.

    Raises:
        MissingExtraError: gen-torch is not installed; `what` is what needs it.
    """
    try:
        from gen_torch import jit
    except ImportError as error:
        raise MissingExtraError(what, "compile", "gen-torch") from error
    return jit(function)
