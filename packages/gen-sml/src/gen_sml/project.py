"""project: the part of a trace's score that belongs to selected choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gen_core import ChoiceTrace, rooms
from gen_core.scoring import sum_scores
from gen_core.totals import total

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import Selection
    from gen_sml.trace import StaticTrace


def project(trace: StaticTrace[Any], selection: Selection) -> Tensor:
    """Return the sum of the selected choices' log densities and of the projections of callees.

    A callee that is not selected counts too: its project(NONE) is what its proposal and its untraced
    randomness contribute.
    """
    chosen = []
    terms = []
    for path, record in trace.in_order():
        part = selection.under(path)
        if type(record) is not ChoiceTrace:
            terms.append(rooms.project(record, part))
        elif part.selects_here:
            chosen.append(record)
    return total([sum_scores(chosen), *terms])
