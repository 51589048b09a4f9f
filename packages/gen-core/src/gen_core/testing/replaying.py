"""Draws made again: the same untraced randomness in every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, final

from gen_core.draw import draw_sample, drawing

if TYPE_CHECKING:
    from gen_core.distribution import Distribution

T = TypeVar("T")


@final
class Recording:
    """The draws of one operation, to be made again by others that draw as it did."""

    def __init__(self, operation: Callable[[], object]) -> None:
        """Run `operation`, and keep what it draws."""
        self._values: list[Any] = []
        with drawing(self._record):
            operation()

    def replay(self, operation: Callable[[], T]) -> T:
        """Run an operation on these draws; what it draws beyond them is fresh."""
        values = iter(self._values)

        def repeat(
            distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
        ) -> Any:
            for value in values:
                return value
            return draw_sample(distribution, args, kwargs)

        with drawing(repeat):
            return operation()

    def _record(
        self, distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        self._values.append(draw_sample(distribution, args, kwargs))
        return self._values[-1]
