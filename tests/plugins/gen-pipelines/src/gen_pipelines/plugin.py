"""What Gen finds through the entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gen_core.hookspecs import gen_combinators, gen_edits, implements

if TYPE_CHECKING:
    from gen_core import GenerativeFunction


@implements(gen_combinators)
def combinators() -> Mapping[str, Callable[..., GenerativeFunction[..., Any]]]:
    """Return the combinator of this package."""
    from gen_pipelines import pipeline

    return {"pipeline": pipeline}


@implements(gen_edits)
def edits() -> Mapping[tuple[type[Any], str], Callable[..., Any]]:
    """Return a regenerate for the walks of gen-gaussians, which derive theirs by running all steps."""
    from gen_gaussians import Walk

    from gen_pipelines.walks import regenerate

    return {(Walk, "regenerate"): regenerate}
