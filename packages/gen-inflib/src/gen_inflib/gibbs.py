"""Gibbs sampling: finite choices drawn from their exact conditional distribution, by enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import NotBatchableError, Selection, Trace, batch
from gen_core.address import Path, show
from gen_core.choicemap_build import from_paths
from gen_core.judge import judge_selection
from gen_core.readable import values_are_readable
from gen_core.selection_build import as_selection
from gen_distributions import categorical
from gen_inflib.accept import choose_values
from gen_inflib.marginalised import MAX_COMBINATIONS
from gen_inflib.points import check_structure
from gen_inflib.position_errors import EnumerationError, ImpossibleStartError

R = TypeVar("R")

FEW = 4
"""So many combinations are scored one after another, which is faster than a batch of them."""


class GibbsInfo(NamedTuple):
    """What happened in one step."""

    accepted: Tensor
    """Whether values were drawn, a boolean of shape `()`: true unless `is_nan`."""
    moved: Tensor
    """Whether the values changed, a boolean of shape `()`."""
    log_conditional: Tensor
    """The log probability of the new values given everything else, shape `()`."""
    num_values: int
    """How many combinations of values there are."""
    is_nan: Tensor
    """Whether a score was NaN, so that the step stayed; an error where values can be read."""


def gibbs(trace: Trace[R], selection: Selection) -> tuple[Trace[R], GibbsInfo]:
    """Draw finite choices from their joint distribution given everything else in the trace.

    For the values v of the product of the supports,

        P(v | everything else) = exp(score of the trace with v) / sum over v' of the same.

    Args:
        trace: The current trace.
        selection: Choices with finite supports. Several move together, as a block; their supports must not
            depend on each other.

    Returns:
        The new trace, and what happened.

    Raises:
        EnumerationError: A support is not finite, there are too many combinations, the supports depend on
            each other, or nothing is selected.
        UnknownSelectionError: The selection names an address that does not exist.
        StructureChangedError: Other values make other choices.
        ImpossibleStartError: No values are possible, or a score is NaN, where that can be read.

    Source: Geman and Geman, IEEE Transactions on Pattern Analysis and Machine Intelligence 6 (1984).
    """
    paths = _selected(trace, selection)
    with torch.no_grad():
        values = _combinations(trace, paths)
        scores = _scores(trace, paths, values)
        picked, is_nan = _pick(trace, scores)
        chosen = [column.index_select(0, picked.reshape(1)).squeeze(0) for column in values]
        moved = trace.update(from_paths(zip(paths, chosen, strict=True))).trace
        _check(trace, moved, paths, values)
        changed = torch.stack([_differ(moved[path], trace[path]) for path in paths]).any()
        log_conditional = (scores - scores.logsumexp(0)).index_select(0, picked.reshape(1)).squeeze(0)
        info = GibbsInfo(~is_nan, changed & ~is_nan, log_conditional, len(scores), is_nan)
        if values_are_readable():
            return moved, info
        return choose_values(~is_nan, moved, trace), info


def _selected(trace: Trace[Any], selection: Selection) -> list[Path]:
    selected = as_selection(selection)
    judge_selection(selected, trace)
    paths = trace.choices.filter(selected).paths()
    if not paths:
        raise EnumerationError(
            f"{trace.gen_fn.name} has no choice that {selected!r} selects, and gibbs needs a finite one."
        )
    return paths


def _combinations(trace: Trace[Any], paths: Sequence[Path]) -> list[Tensor]:
    """Return for each address the values that it has in the combinations, `(num_combinations, *shape)`."""
    supports = [_support(trace, path) for path in paths]
    count = math.prod(map(len, supports))
    if count > MAX_COMBINATIONS:
        raise EnumerationError(
            f"The choices of {trace.gen_fn.name} that gibbs was given have {count} combinations, more than "
            f"{MAX_COMBINATIONS}. Draw fewer at a time, one after another with `cycle`."
        )
    indices = torch.tensor(list(itertools.product(*[range(len(support)) for support in supports])))
    columns = zip(supports, indices.unbind(1), strict=True)
    return [support.index_select(0, column.to(support.device)) for support, column in columns]


def _support(trace: Trace[Any], path: Path) -> Tensor:
    choice = trace.subtrace(path)
    distribution: Any = choice.gen_fn
    if not getattr(distribution, "is_enumerable", False):
        raise EnumerationError(
            f"The choice at {show(path)} of {trace.gen_fn.name}, from {distribution.name}, has no finite "
            f"support to enumerate. Give it another kernel."
        )
    values = distribution.enumerate_support(*choice.call.args, **choice.call.kwargs)
    if not all(isinstance(value, Tensor) for value in values):
        raise EnumerationError(
            f"The choice at {show(path)} of {trace.gen_fn.name} has values that are not tensors, which gibbs "
            f"cannot enumerate."
        )
    return torch.stack(list(values))


def _scores(trace: Trace[Any], paths: Sequence[Path], values: Sequence[Tensor]) -> Tensor:
    """Return the score of the trace with each combination, in a batch where the model allows."""

    def score(*each: Tensor) -> Tensor:
        updated = trace.update(from_paths(zip(paths, each, strict=True))).trace
        check_structure(trace, updated)
        return updated.score

    if len(values[0]) <= FEW:
        return torch.stack([score(*each) for each in zip(*values, strict=True)])
    try:
        scores: Tensor = batch(score)(*values)
    except NotBatchableError:
        if not values_are_readable():
            raise
        scores = torch.stack([score(*each) for each in zip(*values, strict=True)])
    return scores


def _pick(trace: Trace[Any], scores: Tensor) -> tuple[Tensor, Tensor]:
    total = scores.logsumexp(0)
    is_bad = total.isnan() | (total.abs() == math.inf)
    if values_are_readable() and bool(is_bad):
        raise ImpossibleStartError(trace.gen_fn.name, float(total), float(trace.score))
    logits = torch.where(is_bad, torch.zeros_like(scores), scores - total)
    return categorical.sample(logits=logits), is_bad


def _check(before: Trace[Any], after: Trace[Any], paths: Sequence[Path], values: Sequence[Tensor]) -> None:
    check_structure(before, after)
    if len(paths) == 1 or not values_are_readable():
        return
    pairs = zip(values, _combinations(after, paths), strict=True)
    if any(one.shape != other.shape or not torch.equal(one, other) for one, other in pairs):
        raise EnumerationError(
            f"The supports of the choices of {before.gen_fn.name} at {', '.join(map(show, paths))} depend on "
            f"each other, so that they cannot be drawn as a block. Draw them one after another with `cycle`."
        )


def _differ(new: Tensor, old: Tensor) -> Tensor:
    return (new != old).any()
