"""Views of a trace in which named finite choices are summed over."""

from __future__ import annotations

import itertools
import math
from typing import Any, Generic, Protocol, TypeVar, final

import torch
from torch import Tensor

from gen_core import NONE, ChoiceMap, NotBatchableError, Path, Selection, Trace, batch, rooms
from gen_core.address import show
from gen_core.choicemap_build import from_paths
from gen_core.judge import judge_selection
from gen_core.readable import values_are_readable
from gen_core.selection_build import as_selection
from gen_distributions import NotEnumerableError, categorical
from gen_inflib.position_errors import EnumerationError, ImpossibleStartError
from gen_inflib.unconstrained import Known, Scored, Unconstrained, scored

R = TypeVar("R")

MAX_COMBINATIONS = 4096
"""So many combinations of the values of finite choices may be summed over."""


class View(Protocol[R]):
    """What gradient-based algorithms see of a trace; `Unconstrained` and `Marginalised` are views."""

    @property
    def trace(self) -> Trace[R]:
        """The trace that is viewed."""
        ...

    @property
    def position(self) -> Tensor:
        """Where it is, shape `(n,)`."""
        ...

    @property
    def size(self) -> int:
        """The number of real numbers, n."""
        ...

    def log_density(self, position: Tensor, *, jacobian: bool = True) -> Tensor:
        """Return the log density at a position, shape `()`, differentiably."""
        ...

    def scored(self, position: Tensor) -> Scored:
        """Return the log density and its gradient, without graphs."""
        ...

    def start(self) -> tuple[Tensor, Scored]:
        """Return the position of the trace, with its density and gradient, which must be finite."""
        ...

    def trace_at(self, position: Tensor) -> Trace[R]:
        """Return the trace with the moved choices at `position`."""
        ...

    def known_at(self, position: Tensor, log_density: Tensor) -> Known | None:
        """Return the choices and their score, given the log density, without running the model; or None."""
        ...

    def refreshed(self, trace: Trace[R]) -> Trace[R]:
        """Return the trace with what was summed over drawn given everything else."""
        ...


def view_of(trace: Trace[R], selection: Selection, enumerated: Selection = NONE) -> View[R]:
    """Return the view that moves `selection` and sums over `enumerated`."""
    if enumerated is NONE:
        return Unconstrained(trace, selection)
    return Marginalised(trace, selection, enumerated)


@final
class Marginalised(Generic[R]):
    """A view from the real line that sums over finite choices.

    With `x` the moved choices and `z` the finite ones, which range over the product of their supports,

        log_density(position) = log sum_z exp(score(x, z)) + log |det d x / d position|.

    Drawing z given x afterwards leaves the joint distribution of both as it is. The supports are taken at
    the trace that is viewed; they may not depend on what moves.
    """

    def __init__(self, trace: Trace[R], selection: Selection, enumerated: Selection) -> None:
        """Look at a trace.

        Raises:
            EnumerationError: A choice to be summed over is not finite, or there are too many combinations.
        """
        finite = as_selection(enumerated)
        judge_selection(finite, trace)
        self._paths = trace.choices.filter(finite).paths()
        if not self._paths:
            raise EnumerationError(
                f"{trace.gen_fn.name} has no choice that {finite!r}, in `enumerate`, selects."
            )
        self._columns = _combinations(trace, self._paths)
        self._base = Unconstrained(trace, as_selection(selection) - finite)
        self._is_batchable = True

    @property
    def trace(self) -> Trace[R]:
        """The trace that is viewed."""
        return self._base.trace

    @property
    def position(self) -> Tensor:
        """Where it is, shape `(n,)`."""
        return self._base.position

    @property
    def size(self) -> int:
        """The number of real numbers, n."""
        return self._base.size

    def log_density(self, position: Tensor, *, jacobian: bool = True) -> Tensor:
        """Return the log of the sum of the densities, shape `()`."""
        return self._joint(position, jacobian).logsumexp(0)

    def scored(self, position: Tensor) -> Scored:
        """Return the log density and its gradient, without graphs."""
        return scored(self.log_density, position)

    def start(self) -> tuple[Tensor, Scored]:
        """Return the position of the trace, with its density and gradient."""
        position = self.position
        here = self.scored(position)
        if values_are_readable() and not math.isfinite(float(here.log_density)):
            raise ImpossibleStartError(
                self.trace.gen_fn.name, float(here.log_density), float(self.trace.score)
            )
        return position, here

    def trace_at(self, position: Tensor) -> Trace[R]:
        """Return the trace with the moved choices at `position`, and the finite ones as they were."""
        return self._base.trace_at(position)

    def known_at(self, position: Tensor, log_density: Tensor) -> None:
        """Return None: what was summed over is drawn from the model."""

    def refreshed(self, trace: Trace[R]) -> Trace[R]:
        """Return the trace with the finite choices drawn given everything else."""
        with torch.no_grad():
            fixed = trace.choices
            weights = self._over_combinations(lambda z: rooms.assess(trace.call, fixed.override(z)).score)
            index = categorical.sample(logits=weights)
            return rooms.assess(trace.call, fixed.override(self._combination(index)))

    def _joint(self, position: Tensor, jacobian: bool) -> Tensor:
        """Return the log density of each combination, shape `(num_combinations,)`."""
        base = self._base
        return self._over_combinations(
            lambda z: base.log_density_of(position, base.fixed.override(z), jacobian=jacobian)
        )

    def _over_combinations(self, function: Any) -> Tensor:
        if self._is_batchable:
            try:
                result: Tensor = batch(function)(from_paths(zip(self._paths, self._columns, strict=True)))
                return result
            except NotBatchableError:
                # The model branches on the choice: then it can only be run once for each value.
                self._is_batchable = False
        rows = zip(*self._columns, strict=True)
        return torch.stack([function(from_paths(zip(self._paths, row, strict=True))) for row in rows])

    def _combination(self, index: Tensor) -> ChoiceMap:
        rows = [column.index_select(0, index.reshape(1)).squeeze(0) for column in self._columns]
        return from_paths(zip(self._paths, rows, strict=True))


def _combinations(trace: Trace[Any], paths: list[Path]) -> list[Tensor]:
    """Return the values of each finite choice, one for each combination, stacked."""
    supports = [_support(trace, path) for path in paths]
    count = math.prod(map(len, supports))
    if count > MAX_COMBINATIONS:
        sizes = ", ".join(f"{show(path)} {len(s)}" for path, s in zip(paths[:5], supports, strict=False))
        raise EnumerationError(
            f"The finite choices of {trace.gen_fn.name} in `enumerate` have {count} combinations ({sizes}"
            f"{', ...' if len(paths) > 5 else ''}), more than {MAX_COMBINATIONS}. Sum over fewer at a time, "
            f"or sum over them in the model, with a mixture distribution."
        )
    rows = itertools.product(*supports)
    return [torch.stack(list(column)) for column in zip(*rows, strict=True)]


def _support(trace: Trace[Any], path: Path) -> list[Tensor]:
    choice = trace.subtrace(path)
    distribution: Any = choice.gen_fn
    if not getattr(distribution, "is_enumerable", False):
        raise EnumerationError(
            f"The choice at {show(path)} of {trace.gen_fn.name}, from {distribution.name}, has no finite "
            f"support to sum over. Leave it out of `enumerate`."
        )
    try:
        values = list(distribution.enumerate_support(*choice.call.args, **choice.call.kwargs))
    except NotEnumerableError as error:
        raise EnumerationError(str(error)) from None
    return values
