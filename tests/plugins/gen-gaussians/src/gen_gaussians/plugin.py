"""What Gen finds through the entry point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gen_core.hookspecs import gen_distributions, implements

if TYPE_CHECKING:
    from gen_core import Distribution


@implements(gen_distributions)
def distributions() -> Mapping[str, Distribution[..., Any]]:
    """Return the distributions of this package by name."""
    from gen_gaussians import skew_normal

    return {"skew_normal": skew_normal}
