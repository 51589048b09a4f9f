"""`check_laws`: whether a generative function is right."""

from __future__ import annotations

import contextvars
import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import torch

from gen_core.call import Call
from gen_core.judge import unvisited
from gen_core.testing import (
    assessing,
    balancing,
    batching,
    differentiating,
    editing,
    failing,
    hinting,
    identities,
    lookup,
    proposing,
    roundtrips,
)
from gen_core.testing.below import Below, Through
from gen_core.testing.law import Law, LawError
from gen_core.testing.operation import Operation
from gen_core.testing.subject import Subject, edits
from gen_core.verify import leave_unverified


def check_laws(
    call: Call[Any],
    *,
    untraced: bool = False,
    forward: bool = True,
    differentiable: bool = True,
    finite: bool = False,
    other_calls: Sequence[Call[Any]] = (),
    seed: int = 0,
    laws: Collection[int] | None = None,
) -> None:
    """Check that a generative function keeps the laws of the interface.

    Args:
        call: The function, bound to arguments.
        untraced: It uses randomness that is not traced, so some laws hold in expectation only, and
            these are checked if the model is finite.
        forward: Its internal proposal is the prior. Then project adds up log densities.
        differentiable: Its score has gradients in its float arguments and continuous choices.
        finite: Every draw is from an enumerable distribution, and there are few enough runs to
            enumerate them, squared.
        other_calls: Calls of the same function with other arguments, to move traces to.
        seed: Seeds every draw.
        laws: The numbers of the laws to check; all by default. 14 checks them below a caller.

    Raises:
        LawError: A law is broken (an AssertionError); it names the law and the operation.
    """
    chosen = {law for law in Law if laws is None or law.number in laws}
    subject = Subject(call, tuple(other_calls), untraced, forward, differentiable, finite)
    # A handler that is left behind must not outlive the check.
    context = contextvars.copy_context()
    if untraced:
        # What is not traced may be drawn again where no hint is given: results differ, and no hint has lied.
        context.run(leave_unverified)
    with torch.random.fork_rng(devices=[]):
        context.run(_check, subject, chosen, seed)
        if Law.BELOW in chosen:
            below = chosen if chosen != {Law.BELOW} else set(Law)
            context.run(_check_below, subject, below - {Law.BELOW}, seed)


def _check_below(subject: Subject, laws: set[Law], seed: int) -> None:
    for caller in (Below(subject.call.gen_fn), Through(subject.call.gen_fn)):
        call, *others = [Call(caller, each.args, each.kwargs) for each in subject.calls]
        try:
            # What depends on values is covered above; here it is the address that matters.
            _check(replace(subject, call=call, other_calls=tuple(others), share=0.5), laws, seed)
        except LawError as error:
            raise LawError(f"{Law.BELOW.title} is broken with {caller!r}: {error}") from error


def _check(subject: Subject, laws: set[Law], seed: int) -> None:
    subject = replace(subject, random=random.Random(seed))
    with unvisited("ignore"), torch.no_grad():
        traces = subject.traces()
        for law, check_call in _OF_CALLS:
            for call in subject.calls if law in laws else ():
                with law.checked_on(Operation("an operation", call)):
                    check_call(subject, call)
        if subject.finite:
            _check_finite(subject, laws)
        for trace in traces:
            for law, check_trace in _OF_TRACES:
                if law in laws:
                    with law.checked_on(Operation("an operation", trace.choices)):
                        check_trace(subject, trace)
        for edit in edits(subject, traces):
            for law, check_edit in _OF_EDITS:
                if law in laws:
                    with law.checked_on(edit):
                        check_edit(edit)


def _check_finite(subject: Subject, laws: set[Law]) -> None:
    for law, check_call in _OF_FINITE_CALLS:
        for call in subject.calls if law in laws else ():
            with law.checked_on(Operation("an operation", call)):
                check_call(subject, call)
    for law, check_move in _OF_FINITE_MOVES:
        for target in subject.calls if law in laws else ():
            with law.checked_on(Operation("an operation", target)):
                check_move(subject, subject.call, target)


_OF_CALLS = [
    (Law.ASSESS, assessing.check_propose),
    (Law.GRADIENTS, differentiating.check_gradients),
    (Law.BATCHES, batching.check_batch),
]

_OF_FINITE_CALLS = [
    (Law.PROPOSAL, proposing.check_simulate),
    (Law.ASSESS, proposing.check_assess),
    (Law.PROPOSAL, proposing.check_generate),
]

_OF_FINITE_MOVES = [
    (Law.PROPOSAL, proposing.check_update),
    (Law.PROPOSAL, proposing.check_regenerate),
    (Law.BALANCE, balancing.check_regenerate),
]

_OF_TRACES = [
    (Law.LOOKUP, lookup.check_lookup),
    (Law.IDENTITIES, identities.check_projections),
    (Law.IDENTITIES, identities.check_generate),
    (Law.ASSESS, assessing.check_trace),
    (Law.IMMUTABLE, editing.check_operations_leave_the_trace),
    (Law.NOTHING, editing.check_nothing),
    (Law.GRADIENTS, differentiating.check_discrete),
    (Law.GRADIENTS, differentiating.check_edits_are_constants),
    (Law.ROUND_TRIPS, roundtrips.check_vector),
    (Law.ROUND_TRIPS, roundtrips.check_pytree),
    (Law.ROUND_TRIPS, roundtrips.check_saving),
    (Law.ERRORS, failing.check_unvisited),
    (Law.ERRORS, failing.check_missing),
    (Law.ERRORS, failing.check_exceptions),
]

_OF_EDITS = [
    (Law.IMMUTABLE, editing.check_edit_leaves_the_old_trace),
    (Law.IDENTITIES, identities.check_edit),
    (Law.ASSESS, assessing.check_edit),
    (Law.REVERSIBLE, editing.check_way_back),
    (Law.RETDIFF, editing.check_retdiff),
    (Law.HINTS, hinting.check_hints),
]
