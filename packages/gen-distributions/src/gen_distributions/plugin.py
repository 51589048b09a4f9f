"""The plugin of this package: its distributions, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gen_core.hookspecs import gen_distributions, implements

if TYPE_CHECKING:
    from gen_core import Distribution


@implements(gen_distributions)
def distributions() -> Mapping[str, Distribution[..., Any]]:
    """Return every distribution that is not made by a constructor."""
    import gen_distributions
    from gen_core import Distribution

    public = (getattr(gen_distributions, name) for name in gen_distributions.__all__)
    return {value.name: value for value in public if isinstance(value, Distribution)}
