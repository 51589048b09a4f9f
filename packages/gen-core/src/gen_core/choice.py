"""The trace of one random choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from torch import Tensor

from gen_core.choicemap import Leaf
from gen_core.diff import retval_version_of, same_arguments, version_of
from gen_core.numbers import as_score
from gen_core.totals import Score, as_number
from gen_core.trace import Trace

if TYPE_CHECKING:
    from gen_core.address import Path
    from gen_core.call import Call
    from gen_core.choicemap import ChoiceMap

T = TypeVar("T")


@final
class ChoiceTrace(Trace[T]):
    """The trace of a distribution: one choice, at the empty address.

    A model makes one a choice, so construction is kept to a few stores, and the score comes later: the
    run scores all its choices at once (`gen_core/scoring.py`).
    """

    __slots__ = ("_sum_of_versions",)

    def __init__(self, call: Call[Any], value: T) -> None:
        """Record a value; its score must be set before anybody else sees the trace."""
        self._call = call
        self._retval = value
        # None until scored; then a tensor, a Python number, or a column of scores and a row in it.
        self._score = None
        self._sum_of_versions = _sum_of_versions(value, call)

    @property
    def score(self) -> Tensor:
        """The log density of the value, shape `()`, in nats."""
        score = self._score
        if type(score) is tuple:
            column, row = score
            # The last dimension: in a batch of traces there are others before it.
            score = column.select(-1, row)
        elif type(score) is float:
            score = as_score(self, score)
        return score  # type: ignore[no-any-return]

    @property
    def held_score(self) -> Any:
        """The score in tensors, as it is held: one, or a column of scores and a row in it."""
        return self.score if type(self._score) is float else self._score

    @property
    def score_number(self) -> float:
        """The same as a Python number; waits for the device that it is on."""
        score = self._score
        if type(score) is tuple:
            column, row = score
            score = column[row]  # where numbers can be read there is no batch, and a row is one number
        return as_number(score)

    @property
    def raw_score(self) -> Score:
        """The same, as a Python number if it is held as one."""
        return self._score if type(self._score) is float else self.score

    @property
    def versions(self) -> tuple[int, ...]:
        """Version numbers of the arguments; -1, which no argument has, once any was changed."""
        values = self._call.values()
        return tuple(map(version_of, values)) if self.is_intact() else (-1,) * len(values)

    @property
    def retval_version(self) -> int:
        """The version number of the value; -1 once it was changed."""
        return retval_version_of(self._retval) if self.is_intact() else -1

    @property
    def choices(self) -> ChoiceMap:
        """The one choice, at `()`."""
        return Leaf(self._retval)

    def find(self, path: Path) -> ChoiceTrace[T] | None:
        """Return this trace for the empty path."""
        return self if path == () else None

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the addresses of constraints that are not at the one choice."""
        return [] if constraints.is_leaf else constraints.paths()

    def is_intact(self) -> bool:
        """Return whether neither the value nor an argument was changed in place since the choice."""
        return self._sum_of_versions == _sum_of_versions(self._retval, self._call)

    def mark_changed(self) -> None:
        """Note that the value or an argument was changed in place."""
        self._sum_of_versions = -1

    def is_of(self, call: Call[Any]) -> bool:
        """Return whether `call` has the very arguments of this choice, unchanged."""
        return same_arguments(self._call.args, call.args) and not call.kwargs and self.is_intact()


def _sum_of_versions(value: object, call: Call[Any]) -> int:
    total = value._version if isinstance(value, Tensor) else 0
    for argument in call.args:
        if type(argument) is not float and argument is not None:
            total += argument._version if isinstance(argument, Tensor) else version_of(argument)
    if call.kwargs:
        total += sum(map(version_of, call.kwargs.values()))
    return total
