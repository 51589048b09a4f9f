"""What Gen finds through the entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gen_core import GenerativeFunction
from gen_core.hookspecs import gen_edits, implements


@implements(gen_edits)
def edits() -> Mapping[tuple[type[Any], str], Callable[..., Any]]:
    """Return an edit for walks, and a less specific one that is never used for them."""
    from gen_gaussians import Walk

    from gen_fast_walks.regenerate import regenerate

    return {(Walk, "regenerate"): regenerate, (GenerativeFunction, "regenerate"): _regenerate_others}


def _regenerate_others(gen_fn: Any, trace: Any, call: Any, argdiffs: Any, selection: Any) -> Any:
    from gen_gaussians import Walk

    from gen_core import derived

    assert not isinstance(gen_fn, Walk), "the edit of a less specific type was used"
    return derived.regenerate(trace, call, selection)
