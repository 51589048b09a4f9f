"""Where searches for a mode start."""

from __future__ import annotations

from typing import TypeVar

from gen_core import ALL, Call, Choices, Selection, Trace, choicemap
from gen_inflib.calls import check_call
from gen_inflib.errors import OptionsError

R = TypeVar("R")


def start_of(
    start: Trace[R] | Call[R], observations: Choices | None, selection: Selection | None
) -> tuple[Trace[R], Selection]:
    """Return the trace to start at, and what to move.

    Raises:
        OptionsError: A trace came without a selection, or with observations; or a call without observations.
    """
    if isinstance(start, Trace):
        if selection is None or observations is not None:
            raise OptionsError(
                "A trace does not know what is observed: give a selection of what is to move, and no "
                "observations. Or give a call and its observations."
            )
        return start, selection
    check_call(start)
    if observations is None:
        raise OptionsError(f"Expected observations of {start.gen_fn.name}: pass {{}} if there are none.")
    given = choicemap(observations)
    latent = ALL if given.is_empty else ~given.addresses()
    return start.generate(given).trace, latent if selection is None else selection
