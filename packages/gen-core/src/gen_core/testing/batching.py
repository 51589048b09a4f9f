"""Law 15: a batch of n runs has the law of n runs, and equal scores one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_core.batch import batch
from gen_core.batch_errors import NotBatchableError
from gen_core.testing.attempts import constraints, exactly, selections
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.choicemap import ChoiceMap
    from gen_core.selection import Selection
    from gen_core.testing.subject import Subject
    from gen_core.trace import Trace
    from gen_core.trace_batch import TraceBatch

LAW = Law.BATCHES
SIZE = 3
NUM_ATTEMPTS = 3


def check_batch(subject: Subject, call: Call[Any]) -> None:
    """Check batches of simulate, generate, update and regenerate, run by run.

    A function that says that it cannot be batched keeps the law.
    """
    simulate = Operation("a batch of simulate", call)
    try:
        traces: TraceBatch[Any] = subject.seeded(batch(call.simulate, size=SIZE))
    except NotBatchableError:
        return
    _require_scores(subject, traces, call, simulate)
    _require_own_draws(traces, simulate)
    donor = call.simulate().choices
    for given in subject.sample(constraints(donor, subject.random), NUM_ATTEMPTS):
        _check_generate(subject, call, given)
        _check_update(subject, traces, given)
    for selection in subject.sample(selections(donor.paths(), subject.random), NUM_ATTEMPTS):
        _check_regenerate(subject, traces, selection)


def _check_generate(subject: Subject, call: Call[Any], given: ChoiceMap) -> None:
    operation = Operation("a batch of generate", call, (given,))
    traces, weights = subject.seeded(batch(lambda: call.generate(given), size=SIZE))
    _require_scores(subject, traces, call, operation)
    for trace, weight in zip(traces, weights, strict=True):
        _require_close(subject, weight, trace.project(exactly(given.paths())), trace, operation)


def _check_update(subject: Subject, traces: TraceBatch[Any], given: ChoiceMap) -> None:
    operation = Operation("a batch of update", traces[0].choices, (given,))
    updated = batch(lambda trace: trace.update(given))(traces)
    for i, trace in enumerate(traces):
        known = exactly([*trace.choices.paths(), *given.paths()])
        new = updated.trace[i]
        _require_close(subject, updated.weight[i], new.project(known) - trace.score, new, operation)
        # Choices may have vanished, and there may be new ones.
        kept = trace.choices.filter(exactly(new.choices.paths()))
        if new.choices.filter(known) != kept.override(new.choices.filter(exactly(given.paths()))):
            raise LAW.broken(operation, f"run {i} has the choices {new.choices!r}")
        _require_assessed(subject, new, operation)


def _check_regenerate(subject: Subject, traces: TraceBatch[Any], selection: Selection) -> None:
    operation = Operation("a batch of regenerate", traces[0].choices, (selection,))
    moved = subject.seeded(lambda: batch(lambda trace: trace.regenerate(selection))(traces))
    for i, trace in enumerate(traces):
        new = moved.trace[i]
        outside = exactly([path for path in trace.choices.paths() if path not in selection])
        # Choices may have vanished, and there may be new ones.
        kept = exactly([path for path in new.choices.paths() if path not in selection])
        expected = new.project(outside) - trace.project(kept)
        _require_close(subject, moved.weight[i], expected, new, operation)


def _require_scores(subject: Subject, traces: TraceBatch[Any], call: Call[Any], operation: Operation) -> None:
    for i, trace in enumerate(traces):
        _require_close(subject, traces.score[i], trace.score, trace, operation)
        _require_assessed(subject, trace, operation)


def _require_assessed(subject: Subject, trace: Trace[Any], operation: Operation) -> None:
    """The trace has the score of exactly its choices: none is missing."""
    if not subject.untraced:
        score = trace.call.assess(trace.choices).score
        _require_close(subject, trace.score, score, trace, operation)


def _require_own_draws(traces: TraceBatch[Any], operation: Operation) -> None:
    """Continuous draws of different runs differ."""
    for path, values in traces.choices.leaves():
        if isinstance(values, Tensor) and values.is_floating_point() and values[0].numel():
            rows = values.reshape(len(traces), -1)
            if torch.equal(rows[0], rows[1]) and not _is_fixed(traces, path):
                raise LAW.broken(operation, f"two runs drew the same value at {path!r}")


def _is_fixed(traces: TraceBatch[Any], path: Any) -> bool:
    distribution: Any = traces[0].subtrace(path).gen_fn
    return bool(getattr(distribution, "is_discrete", False))


def _require_close(
    subject: Subject, found: Tensor, expected: Tensor, trace: Trace[Any], operation: Operation
) -> None:
    if not subject.close(found, expected, trace):
        raise LAW.broken(operation, f"it is {float(found):.8g} and not {float(expected):.8g} as one by one")
