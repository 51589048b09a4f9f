"""Making a trace again of its choices."""

from __future__ import annotations

from typing import Any, TypeVar

from gen_core import Call, ChoiceMap, Trace, drawing
from gen_inflib.chain_errors import UntracedRandomnessError

R = TypeVar("R")


def replayed(model: Call[R], choices: ChoiceMap) -> Trace[R]:
    """Return the trace of `model` with exactly these choices.

    Raises:
        UntracedRandomnessError: The model draws something although all its choices are given.
    """

    def refuse(*args: Any) -> Any:
        raise UntracedRandomnessError(model.gen_fn.name)

    with drawing(refuse):
        return model.generate(choices).trace
