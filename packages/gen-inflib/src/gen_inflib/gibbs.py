"""Gibbs sampling: finite choices drawn from their exact conditional distribution, by enumeration."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import ChoiceMap, Selection, Trace
from gen_core.address import show_all
from gen_core.readable import values_are_readable
from gen_core.selection_build import as_selection
from gen_inflib.accept import choose_values
from gen_inflib.enumeration import Enumeration, Purpose, Weighed
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
    """How many combinations of values were scored."""
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
    finite = Enumeration(trace, as_selection(selection), _DRAWN)
    with torch.no_grad():
        weighed = finite.weigh(partial(_scored, trace), few=FEW)
        is_nan = _is_impossible(trace, weighed)
        drawn = finite.draw(weighed.where(~is_nan))
        moved = trace.update(drawn.choices).trace
        check_structure(trace, moved)
        after = Enumeration(moved, as_selection(selection), _DRAWN)
        if len(finite.paths) > 1 and values_are_readable():
            _check_supports(finite, after)
        pairs = zip(after.current, finite.current, strict=True)
        changed = torch.stack([(new != old).any() for new, old in pairs]).any()
        info = GibbsInfo(~is_nan, changed & ~is_nan, drawn.log_prob, finite.num_scored, is_nan)
        if values_are_readable():
            return moved, info
        return choose_values(~is_nan, moved, trace), info


def _scored(trace: Trace[Any], values: ChoiceMap) -> tuple[Trace[Any], Tensor]:
    updated = trace.update(values).trace
    check_structure(trace, updated)
    return updated, updated.score


def _is_impossible(trace: Trace[Any], weighed: Weighed) -> Tensor:
    total = weighed.total
    is_bad = total.isnan() | (total.abs() == math.inf)
    if values_are_readable() and bool(is_bad):
        raise ImpossibleStartError(trace.gen_fn.name, float(total), float(trace.score))
    return is_bad


def _check_supports(before: Enumeration, after: Enumeration) -> None:
    if not before.has_supports_of(after):
        raise EnumerationError(
            f"The supports of the choices of {before.model} at {show_all(before.paths, limit=5)} depend on "
            f"each other, so that they cannot be drawn as a block. Draw them one after another with `cycle`."
        )


_DRAWN = Purpose(
    "",
    "The choices that gibbs was given",
    "Draw fewer at a time, one after another with `cycle`, or make them choices of independent elements: of "
    "a Map, or of tensors of one shape.",
)
