"""Law 6, and what takes the place of 2 and 5 where there is untraced randomness: see `finite.py`."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from gen_core.errors import MissingChoiceError, UnvisitedConstraintsError
from gen_core.judge import unvisited
from gen_core.testing.attempts import clash, constraints, exactly, selections
from gen_core.testing.enumeration import enumerate_runs
from gen_core.testing.finite import Flow, Simulated, state_of
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.choicemap import ChoiceMap
    from gen_core.testing.subject import Subject

NUM_STARTS = 3
NUM_CONSTRAINTS = 4
NUM_SELECTIONS = 4


def check_simulate(subject: Subject, call: Call[Any]) -> None:
    """Check that simulate's probabilities sum to 1, and are exp(score)."""
    operation = Operation("simulate", call)
    runs = list(enumerate_runs(call.simulate))
    total = math.fsum(math.exp(run.log_prob) for run in runs)
    if not subject.close(total, 1.0):
        raise Law.PROPOSAL.broken(operation, f"the probabilities of its runs sum to {total:.8g}")
    for trace, log_prob in runs if not subject.untraced else []:
        if not subject.close(trace.score, log_prob):
            scores = f"the score is {float(trace.score):.8g} and the log probability {log_prob:.8g}"
            raise Law.PROPOSAL.broken(operation, f"of {trace.choices!r}, {scores}")


def check_assess(subject: Subject, call: Call[Any]) -> None:
    """Check that the expectation of exp(score) over what is untraced is the probability of the choices."""
    simulated = Simulated.of(call)
    for trace in subject.sample(simulated.traces, NUM_STARTS):
        operation = Operation("assess", call, (trace.choices,))
        with Law.ASSESS.checked_on(operation):
            runs = enumerate_runs(partial(_score, call, trace.choices))
            found = math.fsum(math.exp(log_prob + score) for score, log_prob in runs)
        known = simulated.probability(state_of(trace.choices))
        if not subject.close(found, known):
            expected = f"is {found:.8g}, and the probability of the choices {known:.8g}"
            raise Law.ASSESS.broken(operation, f"the expectation of exp(score) {expected}")


def check_generate(subject: Subject, call: Call[Any]) -> None:
    """Check generate under constraints of every kind."""
    simulated = Simulated.of(call)
    for given in _constraints(subject, simulated):
        operation = Operation("generate", call, (given,))
        flow = Flow(subject.eps)
        with Law.PROPOSAL.checked_on(operation):
            runs = list(enumerate_runs(partial(call.generate, given)))
        if any(clash(given, run.result.trace.choices) for run in runs):
            continue
        for (trace, weight), log_prob in runs:
            flow.add(trace.choices, log_prob + float(weight))
            log_q = float(trace.score - trace.project(exactly(given.paths())))
            if not subject.untraced and not subject.close(log_prob, log_q, trace):
                found = f"score - project(u) is {log_q:.8g}, but its log probability {log_prob:.8g}"
                raise Law.PROPOSAL.broken(operation, f"of {trace.choices!r}, {found}")
        flow.require(Law.PROPOSAL, simulated, given, operation)


def check_update(subject: Subject, call: Call[Any], target: Call[Any]) -> None:
    """Check that update draws what is new from the proposal, and law 5 in expectation where untraced."""
    ends = Simulated.of(target)
    law = Law.REVERSIBLE if subject.untraced else Law.PROPOSAL
    for starts in subject.sample(list(Simulated.of(call).runs.values()), NUM_STARTS):
        choices = starts[0].result.choices
        # The sum of q(r; x, t) over the r that go with t.
        reached = math.fsum(math.exp(log_prob - float(old.score)) for old, log_prob in starts)
        for given in _constraints(subject, ends) if subject.close(reached, 1.0) else []:
            operation = Operation("update", choices, (given, target))
            flow = Flow(subject.eps)
            with law.checked_on(operation):
                edits = [
                    (edit, log_start + log_prob)
                    for old, log_start in starts
                    for edit, log_prob in enumerate_runs(partial(old.update, given, target))
                ]
            if any(clash(given, edit.trace.choices) for edit, _ in edits):
                continue
            for edit, log_prob in edits:
                flow.add(edit.trace.choices, log_prob + float(edit.weight))
            flow.require(law, ends, choices.override(given), operation)


def check_regenerate(subject: Subject, call: Call[Any], target: Call[Any]) -> None:
    """Check that regenerate draws what is selected or new from the proposal."""
    if subject.untraced:
        return  # what a callee keeps of its untraced randomness depends on where it starts
    ends = Simulated.of(target)
    for old in subject.sample(Simulated.of(call).traces, NUM_STARTS):
        for selection in subject.sample(selections(old.choices.paths(), subject.random), NUM_SELECTIONS):
            kept = exactly([path for path in old.choices.paths() if path not in selection])
            operation = Operation("regenerate", old.choices, (selection, target))
            flow = Flow(subject.eps)
            with Law.PROPOSAL.checked_on(operation):
                for edit, log_prob in enumerate_runs(partial(old.regenerate, selection, target)):
                    flow.add(edit.trace.choices, log_prob + float(edit.trace.project(kept)))
            flow.require(Law.PROPOSAL, ends, old.choices.filter(kept), operation)


def _constraints(subject: Subject, simulated: Simulated) -> list[ChoiceMap]:
    donors = subject.sample(simulated.traces, NUM_STARTS)
    given = [given for donor in donors for given in constraints(donor.choices, subject.random)]
    return subject.sample(given, NUM_CONSTRAINTS)


def _score(call: Call[Any], choices: ChoiceMap) -> float:
    try:
        with unvisited("error"):
            return float(call.assess(choices).score)
    except (MissingChoiceError, UnvisitedConstraintsError):
        return -math.inf  # with this untraced randomness, other choices are made
