"""Random draws: the one place in the system where random numbers are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from gen_core.errors import ParameterError
from gen_core.readable import values_are_readable

if TYPE_CHECKING:
    from gen_core.distribution import Distribution

Draw: TypeAlias = "Callable[[Distribution[..., Any], tuple[Any, ...], Mapping[str, Any]], Any]"


def draw(distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Draw one value from `distribution`; every random draw of every package comes through here.

    Gradient estimators, enumeration and noise drawn ahead of time replace it with `drawing`.
    """
    replacement = _draw.get()
    if replacement is not None:
        return replacement(distribution, args, kwargs)
    return draw_sample(distribution, args, kwargs)


def draw_sample(
    distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Draw from torch's random number generator. A sampled choice is a constant: it has no gradient."""
    try:
        value = distribution.family.sample(*args, **kwargs) if kwargs else distribution.family.sample(*args)
    except Exception:
        check_parameters(distribution, args, kwargs)  # says more than torch does, where it is to blame
        raise
    if getattr(value, "requires_grad", False):
        return value.detach()
    return value


def check_parameters(
    distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Raise ParameterError if a parameter is outside its constraint, where values can be read."""
    if not values_are_readable():
        return
    for requirement in distribution.family.requirements(*args, **kwargs):
        if not requirement.is_met:
            given = distribution.signature.bind(*args, **kwargs).arguments[requirement.parameter]
            raise ParameterError(distribution.name, requirement.parameter, requirement.must, given)


def is_drawing_plainly() -> bool:
    """Return whether draws are this module's own, so that one can stand for those of many runs at once."""
    return _draw.get() is None


@contextmanager
def drawing(replacement: Draw) -> Iterator[None]:
    """Draw through `replacement` while the block runs."""
    token = _draw.set(replacement)
    try:
        yield
    finally:
        _draw.reset(token)


_draw: ContextVar[Draw | None] = ContextVar("gen_draw", default=None)
