"""Sums over finite choices, and draws from their distribution given everything else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from gen_core import ChoiceMap, NotBatchableError, Selection, Trace, batch
from gen_core.address import show, show_all
from gen_core.choicemap_build import from_paths
from gen_core.judge import judge_selection
from gen_core.readable import values_are_readable
from gen_distributions import categorical
from gen_inflib.elementwise import Elements, elements_of
from gen_inflib.finite import Finite, every_value, finite
from gen_inflib.position_errors import EnumerationError

MAX_COMBINATIONS = 4096
"""So many combinations of the values of finite choices are scored one and all."""
FEW_PATHS = 12
"""More choices, of two values each, have more combinations; they are not looked at one by one."""
ROUNDING = 1e-4
"""By how much scores that should be the same may differ, relative to their size."""

Score = Callable[[ChoiceMap], tuple[Trace[Any], Tensor]]
"""From values of the finite choices to a trace that has them, and its log density, shape `()`."""


class Purpose(NamedTuple):
    """What finite choices are enumerated for, as messages say it."""

    where: str
    """What follows the selection, where it selects nothing."""
    what: str
    """What they are."""
    advice: str
    """What to do about too many."""


class Weighed(NamedTuple):
    """The log densities of the values of finite choices."""

    together: Tensor
    """For each combination of those that vary together, shape `(j,)`, without what elements add."""
    elements: Tensor
    """What each element adds with each of its values, shape `(j, k, n)`."""

    @property
    def joint(self) -> Tensor:
        """The log density of each combination, summed over the values of elements, shape `(j,)`."""
        return self.together + self.elements.logsumexp(1).sum(-1)

    @property
    def total(self) -> Tensor:
        """The log of the sum over all values, shape `()`."""
        return self.joint.logsumexp(0)

    def where(self, is_good: Tensor) -> Weighed:
        """Return the same where `is_good`, else all values alike."""
        return Weighed(*[torch.where(is_good, logits, torch.zeros_like(logits)) for logits in self])


class Drawn(NamedTuple):
    """Values of finite choices, and their log probability given everything else, shape `()`."""

    choices: ChoiceMap
    log_prob: Tensor


@final
class Enumeration:
    """Finite choices of a trace, with all combinations of their values.

    Up to `MAX_COMBINATIONS` combinations are scored one and all. Of more, those of elements that are
    independent given everything else (`gen_inflib/elementwise.py`) are scored side by side: with k values of
    an element, k + 1 runs score the k^n of n elements, since

        score = rest + sum over elements i of t_i(values of element i).

    The rest must not depend on the values, nor t_i on those of other elements. Every scoring checks it
    against the values of the trace: where they can be read it is an error, elsewhere the density is NaN.
    """

    def __init__(self, trace: Trace[Any], selection: Selection, purpose: Purpose) -> None:
        """Look at a trace; the supports are those in it.

        Raises:
            EnumerationError: Nothing is selected, a choice is not finite, or there are too many values.
            UnknownSelectionError: The selection names an address that does not exist.
        """
        judge_selection(selection, trace)
        self.paths = trace.choices.filter(selection).paths()
        self.model = trace.gen_fn.name
        if not self.paths:
            raise EnumerationError(f"{self.model} has no choice that {selection!r}{purpose.where} selects.")
        self._elements: Elements | None = None
        are_few = len(self.paths) <= FEW_PATHS
        together = [finite(trace, path) for path in self.paths] if are_few else []
        if not are_few or math.prod(found.num_values for found in together) > MAX_COMBINATIONS:
            self._elements, rest = elements_of(trace, self.paths)
            together = [finite(trace, path) for path in rest]
        each = [] if self._elements is None else self._elements.finite
        num_values = math.prod(len(found.values) for found in each)
        if math.prod(found.num_values for found in together) * num_values > MAX_COMBINATIONS:
            raise _too_many(self.model, together, each, purpose)
        self._together = together
        self._trace = trace
        self._combinations = _product([every_value(trace, found) for found in together])
        self._values = _product([found.values for found in each])
        self._is_batchable = True

    @property
    def num_scored(self) -> int:
        """How many combinations are scored."""
        together = len(self._combinations[0]) if self._combinations else 1
        return together if self._elements is None else together * (len(self._values[0]) + 1)

    def weigh(self, score: Score, *, few: int = 0) -> Weighed:
        """Score the combinations.

        Args:
            score: Scores one.
            few: So many are scored one after another, more in a batch where the model allows.
        """
        if self._elements is None:
            densities, *_ = self._over(score, self._combinations, few)
            return Weighed(densities, densities.new_zeros(len(densities), 1, 0))
        num_each = len(self._values[0]) + 1  # the last are the values that the trace has
        columns = [column.repeat_interleave(num_each, 0) for column in self._combinations]
        num_together = len(columns[0]) // num_each if columns else 1
        for values, current in zip(self._values, self._elements.current, strict=True):
            alike = values.unsqueeze(1).expand(-1, self._elements.size, *values.shape[1:])
            rows = torch.cat([alike, current.unsqueeze(0).to(values.dtype)])
            columns.append(rows.repeat(num_together, *[1] * (rows.dim() - 1)))
        found = self._over(score, columns, few)
        return self._separated(*[part.reshape(num_together, num_each, *part.shape[1:]) for part in found])

    def draw(self, weighed: Weighed) -> Drawn:
        """Draw values from their distribution given everything else."""
        joint = weighed.joint
        index = categorical.sample(logits=joint)
        log_prob = _at(joint.log_softmax(0), index)
        values = [_at(column, index) for column in self._combinations]
        if self._elements is not None:
            logits = _at(weighed.elements, index).transpose(0, 1)
            picked = categorical.sample(logits=logits)
            values += [column.index_select(0, picked) for column in self._values]
            log_prob = log_prob + logits.log_softmax(1).gather(1, picked.unsqueeze(1)).sum()
        return Drawn(self._placed(values), log_prob)

    @property
    def current(self) -> list[Tensor]:
        """The values that the trace has."""
        return [self._trace[found.path] for found in self._together] + list(
            self._elements.current if self._elements is not None else []
        )

    def has_supports_of(self, other: Enumeration) -> bool:
        """Return whether another trace has the same supports, as it has unless they depend on each other."""
        mine, others = [[*each._combinations, *each._values] for each in (self, other)]
        return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(mine, others, strict=True))

    def _over(self, score: Score, columns: Sequence[Tensor], few: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return for each row the log density, and of the elements the sum and the terms."""

        def scored(*values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            trace, density = score(self._placed(values))
            if self._elements is None:
                return density, density.new_zeros(()), density.new_zeros(0)
            scores = self._elements.scores(trace)
            return density, scores.total, scores.each

        if self._is_batchable and len(columns[0]) > few:
            try:
                found: tuple[Tensor, Tensor, Tensor] = batch(scored)(*columns)
                return found
            except NotBatchableError:
                # The model branches on the choice: then it can only be run once for each value.
                if not values_are_readable():
                    raise
                self._is_batchable = False
        densities, sums, each = zip(*itertools.starmap(scored, zip(*columns, strict=True)), strict=True)
        return torch.stack(densities), torch.stack(sums), torch.stack(each)

    def _separated(self, densities: Tensor, sums: Tensor, each: Tensor) -> Weighed:
        """Tell apart what elements add to the density, and the rest, which is one whatever their values are.

        Args:
            densities: The log density with each combination, and of these with each combination of the
                values of an element, and with the values of the trace, shape `(j, k + 1)`.
            sums: What elements add to it, shape `(j, k + 1)`.
            each: What each of them adds, shape `(j, k + 1, n)`.
        """
        is_possible = sums > -math.inf
        rests = torch.where(is_possible, densities - sums, -math.inf)
        rest = rests.gather(1, rests.detach().argmax(1, keepdim=True))
        size = 1 + densities.detach().abs() + sums.detach().abs()
        differs = is_possible & ((rests - rest).detach().abs() > ROUNDING * size)
        terms, current = each[:, :-1], each[:, -1].detach()
        expected = terms.detach().gather(1, self._current.expand(len(each), 1, -1)).squeeze(1)
        is_other = (current - expected).abs() > ROUNDING * (1 + current.abs())
        is_coupled = differs.any() | is_other.any()
        if values_are_readable() and bool(is_coupled):
            raise EnumerationError(
                f"The finite choices of {self.model} at {show_all(self.paths, limit=3)} depend on each "
                f"other, and have more than {MAX_COMBINATIONS} combinations. So many are enumerated only "
                f"where those of each element, of a Map or of tensors of one shape, are independent given "
                f"everything else."
            )
        return Weighed(torch.where(is_coupled, math.nan, rest.squeeze(1)), terms)

    @cached_property
    def _current(self) -> Tensor:
        """For each element, which of the combinations of values it has in the trace, shape `(n,)`."""
        assert self._elements is not None
        is_here = [
            (values.unsqueeze(1) == current.unsqueeze(0)).reshape(len(values), len(current), -1).all(2)
            for values, current in zip(self._values, self._elements.current, strict=True)
        ]
        return torch.stack(is_here).all(0).int().argmax(0)

    def _placed(self, values: Sequence[Tensor]) -> ChoiceMap:
        """Return values at their addresses: those that vary together, then those of elements."""
        num_together = len(self._together)
        pairs = zip(self._together, values[:num_together], strict=True)
        choices = from_paths([(found.path, value) for found, value in pairs])
        if self._elements is None:
            return choices
        return choices.override(self._elements.placed(values[num_together:]))


def _product(columns: Sequence[Tensor]) -> list[Tensor]:
    """Return the rows of columns in all combinations."""
    indices = torch.tensor(list(itertools.product(*[range(len(column)) for column in columns])))
    pairs = zip(columns, indices.unbind(1), strict=True)
    return [column.index_select(0, index.to(column.device)) for column, index in pairs]


def _at(column: Tensor, index: Tensor) -> Tensor:
    return column.index_select(0, index.reshape(1)).squeeze(0)


def _too_many(
    model: str, together: Sequence[Finite], each: Sequence[Finite], purpose: Purpose
) -> EnumerationError:
    count = math.prod(found.num_values for found in together) * math.prod(len(found.values) for found in each)
    number = str(count) if count < 10**9 else f"10^{math.log10(count):.0f}"
    sizes = ", ".join(f"{show(found.path)} {found.num_values}" for found in together[:5])
    more = ", ..." if len(together) > 5 else ""
    return EnumerationError(
        f"{purpose.what} of {model} have {number} combinations ({sizes}{more}), more than "
        f"{MAX_COMBINATIONS}. {purpose.advice}"
    )
