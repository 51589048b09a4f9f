"""The plugin of this package: its combinators, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gen_core.hookspecs import ValueCodec, gen_combinators, gen_values, implements

if TYPE_CHECKING:
    from gen_core import GenerativeFunction


@implements(gen_combinators)
def combinators() -> Mapping[str, Callable[..., GenerativeFunction[..., Any]]]:
    """Return what makes a generative function of others, or of plain functions."""
    import gen_combinators as ours

    return {
        "call_at": ours.call_at,
        "choice_at": ours.choice_at,
        "deterministic": ours.deterministic,
        "dimap": ours.dimap,
        "map": ours.Map,
        "map_args": ours.map_args,
        "map_retval": ours.map_retval,
        "mask": ours.Mask,
        "mix": ours.mix,
        "or_else": ours.or_else,
        "recurse": ours.Recurse,
        "repeat": ours.repeat,
        "scan": ours.Scan,
        "switch": ours.Switch,
        "unfold": ours.Unfold,
        "with_gradient": ours.with_gradient,
    }


@implements(gen_values)
def values() -> Mapping[type[Any], ValueCodec]:
    """Return how vectors are saved."""
    from gen_combinators.vector import Vector

    codec = ValueCodec(lambda vector: (list(vector), None), lambda parts, rest: Vector(parts), list, Vector)
    return {Vector: codec}
