"""Every run of an operation with finitely many: each draw takes each value in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, final

from gen_core.draw import drawing

if TYPE_CHECKING:
    from gen_core.distribution import Distribution

T = TypeVar("T")

MAX_RUNS = 20_000


class EnumeratedRun(NamedTuple, Generic[T]):
    """One of the runs that an operation can make."""

    result: T
    log_prob: float
    """The sum of the log probabilities of all draws, of untraced ones too."""


def enumerate_runs(operation: Callable[[], T]) -> Iterator[EnumeratedRun[T]]:
    """Yield every run of `operation` that has positive probability, depth first.

    Args:
        operation: Deterministic but for draws from enumerable distributions; it is called once a run.

    Raises:
        ValueError: A draw is not enumerable, or there are too many runs.
    """
    draws = _Script()
    for _ in range(MAX_RUNS):
        with drawing(draws.next):
            result = operation()
        yield EnumeratedRun(result, draws.log_prob)
        if not draws.advance():
            return
    raise ValueError(f"Expected at most {MAX_RUNS} runs. Check finite laws on a smaller model.")


@final
class _Script:
    """The values of the draws of one run after the other."""

    def __init__(self) -> None:
        self._draws: list[list[tuple[Any, float]]] = []  # values still to take, the current one last
        self._position = 0

    def next(
        self, distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Return the value of the next draw of this run."""
        if self._position == len(self._draws):
            self._draws.append(_values(distribution, args, kwargs))
        value, _ = self._draws[self._position][-1]
        self._position += 1
        return value

    @property
    def log_prob(self) -> float:
        """The log probability of the run so far."""
        return sum(values[-1][1] for values in self._draws)

    def advance(self) -> bool:
        """Go to the next run; return whether there is one."""
        self._position = 0
        while self._draws:
            self._draws[-1].pop()
            if self._draws[-1]:
                return True
            self._draws.pop()
        return False


def _values(
    distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[tuple[Any, float]]:
    """Return the values of positive probability with their log probabilities, the first value last."""
    if not distribution.is_enumerable:
        raise ValueError(
            f"A finite model draws from enumerable distributions, and {distribution.name} is not."
        )
    values = distribution.enumerate_support(*args, **kwargs)
    weighted = [(value, float(distribution.log_prob(value, *args, **kwargs))) for value in reversed(values)]
    return [(value, log_prob) for value, log_prob in weighted if log_prob > -float("inf")]
