"""Metropolis-Hastings: propose another trace, and accept it or stay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import Call, ChoiceMap, GenError, Selection, Trace
from gen_core.readable import values_are_readable
from gen_inflib.accept import accept_or_stay
from gen_inflib.errors import ProposalError, UndefinedWeightError
from gen_inflib.kernel import brief
from gen_inflib.proposal import Proposal

R = TypeVar("R")
T = TypeVar("T")

FORWARD = "score of the proposal"


class MetropolisHastingsInfo(NamedTuple):
    """What happened in one step."""

    accepted: bool | Tensor
    """A bool; a boolean tensor of shape `()` in a batch and in a staged program."""
    log_acceptance_ratio: Tensor
    """The proposed trace was accepted with probability min(1, exp(this)); shape `()`, in nats."""
    is_nan: bool | Tensor = False
    """Whether the ratio is NaN, so that the step was rejected; an error where values can be read."""


def metropolis_hastings(
    trace: Trace[R], proposal: Selection | Proposal[R]
) -> tuple[Trace[R], MetropolisHastingsInfo]:
    """Take one step that leaves the distribution proportional to exp(score) as it is.

    With a selection, the selected choices are drawn again from the model's internal proposal, and the log
    acceptance ratio is the weight of `trace.regenerate(selection)`.

    With a custom proposal, its choices are new values for choices of the model, at the model's addresses:

        log ratio = weight of trace.update(proposed choices)
                    + log density of the discarded choices under proposal(new trace)
                    - log density of the proposed choices under proposal(trace).

    Where the structure of the trace changes, the way back has to be possible: the proposal on the new
    trace must propose exactly what was replaced or is gone. In a batch and in a staged program the structure
    must stay, and a ratio that is NaN is rejected and reported.

    Args:
        trace: The current trace.
        proposal: A selection, or a function from the trace to a call of a generative function.

    Returns:
        The new trace, or the old one where the proposed trace was rejected, and what happened.

    Raises:
        UndefinedWeightError: The log acceptance ratio is NaN, or the proposal drew what has density 0.
        UnvisitedConstraintsError: The proposal made a choice that the model does not make, or its way
            back does not propose all that was discarded.
        MissingChoiceError: The way back makes a choice that was not discarded.
        UnknownSelectionError: The selection names an address that does not exist.
        ProposalError: `proposal` is neither a selection nor a function from a trace to a call.

    Source: Hastings, Biometrika 57 (1970); for changes of structure, Green, Biometrika 82 (1995).
    """
    with torch.no_grad():
        if isinstance(proposal, Selection):
            proposed, log_ratio, _, _ = trace.regenerate(proposal)
            _check(trace, proposed, log_ratio, {"weight of regenerate": log_ratio})
        else:
            proposed, log_ratio = _propose(trace, proposal)
        moved, accepted = accept_or_stay(log_ratio, proposed, trace)
    is_nan = False if isinstance(accepted, bool) else log_ratio.isnan()
    return moved, MetropolisHastingsInfo(accepted, log_ratio, is_nan)


def _propose(trace: Trace[R], proposal: Proposal[R]) -> tuple[Trace[R], Tensor]:
    choices, forward, _ = call_of(proposal, trace).propose()
    proposed, weight, _, discard = trace.update(choices)
    if not values_are_readable():
        backward = _score_back(proposal, proposed, discard)
        return proposed, _masked_ratio(weight, forward, backward)
    if weight == -math.inf and forward > -math.inf:
        # Impossible whatever the way back, which need not be defined from an impossible trace.
        return proposed, weight
    backward = _score_back(proposal, proposed, discard)
    log_ratio = weight + backward - forward
    parts = {"weight of update": weight, FORWARD: forward, "score of the way back": backward}
    _check(trace, proposed, log_ratio, parts)
    return proposed, log_ratio


def _masked_ratio(weight: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """Return the log ratio: NaN where the proposal drew what it says cannot be drawn."""
    log_ratio = torch.where(weight == -math.inf, weight, weight + backward - forward)
    return torch.where(forward == -math.inf, math.nan, log_ratio)


def _score_back(proposal: Proposal[R], proposed: Trace[R], discard: ChoiceMap) -> Tensor:
    call = call_of(proposal, proposed)
    return way_back(lambda: call.assess(discard), discard, call.gen_fn).score


def way_back(run: Callable[[], T], choices: ChoiceMap, proposal: object) -> T:
    """Return `run()`, a run of the proposal on the way back; where it cannot be, say what it was for."""
    try:
        return run()
    except GenError as error:
        error.add_note(
            f"This was the way back of a Metropolis-Hastings step: from the new trace, "
            f"{brief(proposal)} must be able to propose exactly the choices that the step replaced or "
            f"removed, {choices!r}."
        )
        raise


def call_of(proposal: Proposal[R], trace: Trace[R]) -> Call[Any]:
    """Return the call that a proposal makes from a trace."""
    expected = "a proposal: a selection, or a function from a trace to a call of a generative function"
    if not callable(proposal):
        raise ProposalError(proposal, expected)
    call: object = proposal(trace)
    if not isinstance(call, Call):
        raise ProposalError(call, f"{expected}, such as one decorated with @gen. It was called")
    return call


def _check(old: Trace[Any], new: Trace[Any], log_ratio: Tensor, parts: dict[str, Tensor]) -> None:
    if not values_are_readable():
        return
    # A proposal that draws what it says cannot be drawn would be accepted always.
    if torch.isnan(log_ratio) or (FORWARD in parts and parts[FORWARD] == -math.inf):
        scores = {"score of the trace": old.score, "score of the proposed trace": new.score}
        numbers = {name: float(number) for name, number in (parts | scores).items()}
        raise UndefinedWeightError("The log acceptance ratio", old.gen_fn.name, float(log_ratio), numbers)
