"""Law 10: gradients agree with central differences, in float64, along random directions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_core.call import Call
from gen_core.diff import UNKNOWN
from gen_core.errors import GradientError, MissingChoiceError
from gen_core.selection import ALL
from gen_core.selection_build import select
from gen_core.testing.attempts import exactly
from gen_core.testing.directions import STEP, nearby, support
from gen_core.testing.doubled import doubled, in_float64
from gen_core.testing.law import Law
from gen_core.testing.objective import Objective, dot, random_retgrad
from gen_core.testing.operation import Operation
from gen_core.testing.replaying import Recording
from gen_core.testing.roundtrips import continuous
from gen_core.testing.structure import places

if TYPE_CHECKING:
    from torch import nn

    from gen_core.results import ArgGradients
    from gen_core.testing.subject import Subject
    from gen_core.trace import Trace

LAW = Law.GRADIENTS
SCALE_FACTOR = -0.7
NUM_TRACES = 2
MAX_DISCRETE = 2
MAX_ATTEMPTS = 20


def check_gradients(subject: Subject, call: Call[Any]) -> None:
    """Check choice_gradients and accumulate_param_gradients on fresh traces of `call`."""
    if not subject.differentiable:
        return
    with torch.enable_grad(), in_float64() as parameters:
        for _ in range(NUM_TRACES):
            trace = subject.seeded(doubled(call).simulate)
            draws = _untraced_draws(trace)
            if draws is None:
                continue
            objective = Objective(trace, random_retgrad(trace.retval), draws)
            _check_choice_gradients(objective, parameters)
            _check_param_gradients(objective, parameters)


def check_discrete(subject: Subject, trace: Trace[Any]) -> None:
    """Check that a discrete choice has no gradient."""
    if not subject.differentiable:
        return
    discrete = set(trace.choices.paths()) - set(continuous(trace).paths())
    for path in sorted(discrete, key=repr)[:MAX_DISCRETE]:
        operation = Operation("choice_gradients", trace.choices, (select(path),))
        try:
            trace.choice_gradients(select(path))
        except GradientError:
            continue
        raise LAW.broken(operation, "it did not raise GradientError for a discrete choice")


def check_edits_are_constants(subject: Subject, trace: Trace[Any]) -> None:
    """Check that edits leave no graph of gradients behind."""
    with torch.enable_grad():
        trace = trace.call.generate(trace.choices).trace
    for name, edit in {
        "regenerate(ALL)": partial(trace.regenerate, ALL, argdiffs=UNKNOWN),
        "update with its own choices": partial(trace.update, trace.choices),
    }.items():
        with torch.enable_grad():
            edited = subject.seeded(edit)
        attached = any(tensor.requires_grad for tensor in (edited.weight, edited.trace.score))
        if attached:
            raise LAW.broken(Operation(name, trace.choices), "the weight or score carries gradients")


def _untraced_draws(trace: Trace[Any]) -> Recording | None:
    """Return untraced draws under which these choices are made, None if a few attempts find none."""
    for _ in range(MAX_ATTEMPTS):
        try:
            return Recording(partial(trace.call.assess, trace.choices))
        except MissingChoiceError:
            continue
    return None


def _check_choice_gradients(objective: Objective, parameters: list[nn.Parameter]) -> None:
    trace = objective.trace
    choices = continuous(trace)
    selection = exactly(choices.paths())
    operation = "choice_gradients"
    found = objective.draws.replay(partial(trace.choice_gradients, selection, objective.retgrad))
    _check_arguments(objective, found.args, operation)
    name = f"{operation} of {objective}"
    if found.values != choices or found.gradients.paths() != choices.paths():
        raise LAW.broken(name, f"it returns {found.values!r} with gradients {found.gradients!r}")
    moves = {path: nearby(value, support(trace.find(path))) for path, value in choices.leaves()}
    slope = sum(dot(found.gradients[path], move.velocity) for path, move in moves.items())
    objective.require(slope, objective.slope(moves, of_choices=True), operation, "choices")
    if not all(parameter.grad is None for parameter in parameters):
        raise LAW.broken(name, "the gradient of a parameter changed")


def _check_param_gradients(objective: Objective, parameters: list[nn.Parameter]) -> None:
    operation = f"accumulate_param_gradients(scale_factor={SCALE_FACTOR})"
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    before = [torch.randn_like(parameter) for parameter in trainable]
    for parameter, gradient in zip(trainable, before, strict=True):
        parameter.grad = gradient.clone()
    accumulate = partial(objective.trace.accumulate_param_gradients, objective.retgrad, SCALE_FACTOR)
    found = objective.draws.replay(accumulate)
    _check_arguments(objective, found, operation)
    for parameter, gradient in zip(trainable, before, strict=True):
        assert parameter.grad is not None
        added, parameter.grad = parameter.grad - gradient, None
        move = nearby(parameter.data)
        values = [_with_data(parameter, data, objective) for data in move]
        expected = SCALE_FACTOR * (values[0] - values[1]) / (2 * STEP)
        objective.require(dot(added, move.velocity), expected, operation, "parameters")


def _check_arguments(objective: Objective, found: ArgGradients, operation: str) -> None:
    gradients = dict(places((found.args, dict(found.kwargs))))
    arguments = objective.arguments
    for place, gradient in gradients.items():
        if (gradient is None) != (place not in arguments):
            found_there = f"the gradient of the argument at {place!r} is {gradient!r}"
            raise LAW.broken(f"{operation} of {objective}", found_there)
    moves = {}
    for place, value in objective.finite_arguments.items():
        moves[place] = nearby(value, objective.argument_constraint(place))
    slope = sum(dot(gradients[place], move.velocity) for place, move in moves.items())
    objective.require(slope, objective.slope(moves, of_choices=False), operation, "arguments")


def _with_data(parameter: nn.Parameter, data: Tensor, objective: Objective) -> float:
    kept = parameter.data
    parameter.data = data
    try:
        return objective.value({}, {})
    finally:
        parameter.data = kept
