"""Law 2: assess returns the score and the return value of exactly the choices it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gen_core.same import same
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.call import Call
    from gen_core.choicemap import ChoiceMap
    from gen_core.testing.subject import Edit, Subject
    from gen_core.trace import Trace

LAW = Law.ASSESS


def check_trace(subject: Subject, trace: Trace[Any]) -> None:
    """Check that assess agrees with a trace that was simulated or edited."""
    operation = Operation("simulate or an edit", trace.call)
    _require(subject, trace.call, trace.choices, trace.score, trace.retval, operation)


def check_edit(edit: Edit) -> None:
    """Check that assess agrees with the trace after an edit."""
    trace = edit.result.trace
    _require(edit.subject, edit.call, trace.choices, trace.score, trace.retval, edit)


def check_propose(subject: Subject, call: Call[Any]) -> None:
    """Check that assess agrees with propose."""
    choices, score, retval = subject.seeded(call.propose)
    _require(subject, call, choices, score, retval, Operation("propose", call))


def _require(
    subject: Subject, call: Call[Any], choices: ChoiceMap, score: Tensor, retval: object, operation: object
) -> None:
    if subject.untraced:
        return  # the score is another at each run: `finite.py` checks its expectation
    with LAW.checked_on(Operation("assess", call, (choices,))):
        assessed = call.assess(choices)
    if not subject.close(assessed.score, score):
        scores = f"{float(score):.8g}, but assess({choices!r}) returns {float(assessed.score):.8g}"
        raise LAW.broken(operation, f"the score is {scores}")
    if not same(assessed.retval, retval, subject.eps):
        retvals = f"{retval!r}, but assess({choices!r}) returns {assessed.retval!r}"
        raise LAW.broken(operation, f"the return value is {retvals}")
