"""Law 10: gradients agree with central differences, in float64, along random directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from gen_core.call import Call
from gen_core.choicemap_build import from_paths
from gen_core.diff import UNKNOWN
from gen_core.errors import GradientError, MissingChoiceError
from gen_core.selection import ALL
from gen_core.selection_build import select
from gen_core.testing.attempts import exactly
from gen_core.testing.directions import STEP, Nearby, argument_constraints, nearby, support
from gen_core.testing.doubled import doubled, in_float64
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation
from gen_core.testing.replaying import Recording
from gen_core.testing.roundtrips import continuous
from gen_core.testing.structure import Place, mapped, places, tensors

if TYPE_CHECKING:
    from torch import nn
    from torch.distributions.constraints import Constraint

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
            objective = _Objective(trace, random_retgrad(trace.retval), draws)
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


def random_retgrad(retval: Any) -> Any:
    """Return random gradients in the structure of a return value, None where it has no float tensor."""
    if not any(tensor.is_floating_point() for tensor in tensors(retval)):
        return None
    return mapped(retval, lambda _, leaf: torch.randn_like(leaf) if _is_continuous(leaf) else None)


@final
@dataclass(frozen=True)
class _Objective:
    """score + <retval, retgrad>, as a function of arguments, choices and parameters."""

    trace: Trace[Any]
    retgrad: Any
    draws: Recording

    @property
    def name(self) -> str:
        return f"{self.trace.choices!r}, {self.trace.call!r}, retgrad={self.retgrad!r}"

    @property
    def arguments(self) -> dict[Place, Any]:
        """The float arguments by place, below 0 for positional ones and 1 for those by keyword."""
        call = self.trace.call
        leaves = places((call.args, dict(call.kwargs)))
        return {place: leaf for place, leaf in leaves if isinstance(leaf, float) or _is_continuous(leaf)}

    @property
    def finite_arguments(self) -> dict[Place, Any]:
        """The arguments that can be moved: an infinite bound cannot."""
        return {
            place: leaf
            for place, leaf in self.arguments.items()
            if torch.isfinite(torch.as_tensor(leaf)).all()
        }

    def argument_constraint(self, place: Place) -> Constraint | None:
        return (
            argument_constraints(self.trace.call).get(place[1]) if len(place) == 2 and not place[0] else None
        )

    def value(self, arguments: dict[Place, Any], choices: dict[Any, Any]) -> float:
        """Return the objective with some arguments and choices replaced."""
        call = self.trace.call
        args, kwargs = mapped((call.args, dict(call.kwargs)), lambda place, leaf: arguments.get(place, leaf))
        moved = self.trace.choices.override(from_paths(choices.items()))
        with torch.no_grad():
            assessed = self.draws.replay(partial(Call(call.gen_fn, args, kwargs).assess, moved))
        return float(assessed.score) + _inner(assessed.retval, self.retgrad)

    def slope(self, moves: dict[Any, Nearby], *, of_choices: bool) -> float:
        """Return the derivative along arguments or choices that move together."""
        ahead = {place: move.ahead for place, move in moves.items()}
        behind = {place: move.behind for place, move in moves.items()}
        values = [self.value({}, at) if of_choices else self.value(at, {}) for at in (ahead, behind)]
        return (values[0] - values[1]) / (2 * STEP)

    def require(self, found: float, expected: float, operation: str, what: str) -> None:
        # Rounding moves a difference of scores by 1e-16 of them over the step.
        tolerance = 1e-5 * (1 + abs(expected)) + 1e-9 * abs(float(self.trace.score.detach()))
        if not abs(found - expected) <= tolerance:
            gradient = f"the gradient in the {what} along a random direction is {found:.8g}"
            differences = f"central differences give {expected:.8g}"
            raise LAW.broken(f"{operation} of {self.name}", f"{gradient}, but {differences}")


def _check_choice_gradients(objective: _Objective, parameters: list[nn.Parameter]) -> None:
    trace = objective.trace
    choices = continuous(trace)
    selection = exactly(choices.paths())
    operation = "choice_gradients"
    found = objective.draws.replay(partial(trace.choice_gradients, selection, objective.retgrad))
    _check_arguments(objective, found.args, operation)
    name = f"{operation} of {objective.name}"
    if found.values != choices or found.gradients.paths() != choices.paths():
        raise LAW.broken(name, f"it returns {found.values!r} with gradients {found.gradients!r}")
    moves = {path: nearby(value, support(trace.find(path))) for path, value in choices.leaves()}
    slope = sum(_dot(found.gradients[path], move.velocity) for path, move in moves.items())
    objective.require(slope, objective.slope(moves, of_choices=True), operation, "choices")
    if not all(parameter.grad is None for parameter in parameters):
        raise LAW.broken(name, "the gradient of a parameter changed")


def _check_param_gradients(objective: _Objective, parameters: list[nn.Parameter]) -> None:
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
        objective.require(_dot(added, move.velocity), expected, operation, "parameters")


def _check_arguments(objective: _Objective, found: ArgGradients, operation: str) -> None:
    gradients = dict(places((found.args, dict(found.kwargs))))
    arguments = objective.arguments
    for place, gradient in gradients.items():
        if (gradient is None) != (place not in arguments):
            found_there = f"the gradient of the argument at {place!r} is {gradient!r}"
            raise LAW.broken(f"{operation} of {objective.name}", found_there)
    moves = {}
    for place, value in objective.finite_arguments.items():
        constraint = objective.argument_constraint(place)
        moves[place] = nearby(value) if constraint is None else nearby(value, constraint)
    slope = sum(_dot(gradients[place], move.velocity) for place, move in moves.items())
    objective.require(slope, objective.slope(moves, of_choices=False), operation, "arguments")


def _with_data(parameter: nn.Parameter, data: Tensor, objective: _Objective) -> float:
    kept = parameter.data
    parameter.data = data
    try:
        return objective.value({}, {})
    finally:
        parameter.data = kept


def _inner(value: Any, gradient: Any) -> float:
    values = dict(places(value))
    return sum(_dot(part, values[place]) for place, part in places(gradient) if part is not None)


def _dot(left: Tensor, right: Tensor) -> float:
    return float((left * right).sum())


def _is_continuous(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
