"""What gradients are gradients of: score + <retval, retgrad>, and its central differences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core.call import Call
from gen_core.choicemap_build import from_paths
from gen_core.testing.directions import STEP, Nearby, argument_constraints
from gen_core.testing.law import Law
from gen_core.testing.replaying import Recording
from gen_core.testing.structure import Place, mapped, places, tensors

if TYPE_CHECKING:
    from torch.distributions.constraints import Constraint

    from gen_core.trace import Trace


def random_retgrad(retval: Any) -> Any:
    """Return random gradients in the structure of a return value, None where it has no float tensor."""
    if not any(tensor.is_floating_point() for tensor in tensors(retval)):
        return None
    return mapped(retval, lambda _, leaf: torch.randn_like(leaf) if is_continuous(leaf) else None)


@final
@dataclass(frozen=True)
class Objective:
    """score + <retval, retgrad>, as a function of arguments, choices and parameters."""

    trace: Trace[Any]
    retgrad: Any
    draws: Recording

    def __str__(self) -> str:
        return f"{self.trace.choices!r}, {self.trace.call!r}, retgrad={self.retgrad!r}"

    @property
    def arguments(self) -> dict[Place, Any]:
        """The float arguments by place, below 0 for positional ones and 1 for those by keyword."""
        call = self.trace.call
        leaves = places((call.args, dict(call.kwargs)))
        return {place: leaf for place, leaf in leaves if isinstance(leaf, float) or is_continuous(leaf)}

    @property
    def finite_arguments(self) -> dict[Place, Any]:
        """The arguments that can be moved: an infinite bound cannot."""
        arguments = self.arguments.items()
        return {place: leaf for place, leaf in arguments if bool(torch.as_tensor(leaf).isfinite().all())}

    def argument_constraint(self, place: Place) -> Constraint:
        """Return what an argument must satisfy, as far as is known."""
        known = argument_constraints(self.trace.call) if len(place) == 2 and place[0] == 0 else {}
        return known.get(place[1], constraints.real)

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
        """Require a derivative to be the expected one, up to the error of central differences."""
        # Rounding moves a difference of scores by 1e-16 of them over the step.
        tolerance = 1e-5 * (1 + abs(expected)) + 1e-9 * abs(float(self.trace.score.detach()))
        if not abs(found - expected) <= tolerance:
            gradient = f"the gradient in the {what} along a random direction is {found:.8g}"
            differences = f"central differences give {expected:.8g}"
            raise Law.GRADIENTS.broken(f"{operation} of {self}", f"{gradient}, but {differences}")


def _inner(value: Any, gradient: Any) -> float:
    values = dict(places(value))
    return sum(dot(part, values[place]) for place, part in places(gradient) if part is not None)


def dot(left: Tensor, right: Tensor) -> float:
    """Return the inner product."""
    return float((left * right).sum())


def is_continuous(value: object) -> bool:
    """Return whether a leaf is a floating point tensor."""
    return isinstance(value, Tensor) and value.is_floating_point()
