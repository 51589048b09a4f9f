"""Central differences along random directions that stay inside a support."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import constraints, transform_to

from gen_core.distribution import Distribution
from gen_core.testing.below import Below

if TYPE_CHECKING:
    from torch.distributions.constraints import Constraint

    from gen_core.call import Call
    from gen_core.trace import Trace

STEP = 1e-5
"""Half of a difference: its error, a third derivative times the square of this, and the rounding of
float64 divided by this, are both near 1e-10."""


class Nearby(NamedTuple):
    """A value moved a little along a curve through it, both ways."""

    ahead: Any
    behind: Any

    @property
    def velocity(self) -> Tensor:
        """The derivative of the curve, by central difference."""
        return (torch.as_tensor(self.ahead) - torch.as_tensor(self.behind)) / (2 * STEP)


def nearby(value: Any, constraint: Constraint = constraints.real) -> Nearby:
    """Move a float or a tensor in a random direction, without leaving what `constraint` allows."""
    if not isinstance(value, Tensor):
        shift = STEP * float(torch.randn(()))
        return Nearby(value + shift, value - shift)
    onto = _onto(constraint)
    free = value if onto is None else onto.inv(value)
    move = STEP * torch.randn_like(free)
    ahead, behind = free + move, free - move
    return Nearby(ahead, behind) if onto is None else Nearby(onto(ahead), onto(behind))


def argument_constraints(call: Call[Any]) -> dict[int, Constraint]:
    """Return the constraints of a distribution's arguments by position, none for other functions."""
    gen_fn: Any = call.gen_fn
    while isinstance(gen_fn, Below):
        gen_fn = gen_fn.callee
    if not isinstance(gen_fn, Distribution):
        return {}
    known = gen_fn.family.arg_constraints
    names = enumerate(gen_fn.signature.parameters)
    return {position: known[name] for position, name in names if name in known}


def support(trace: Trace[Any] | None) -> Constraint:
    """Return the support of a choice, as far as its trace tells."""
    if trace is None or not isinstance(trace.gen_fn, Distribution):
        return constraints.real
    return trace.gen_fn.support(*trace.args, **trace.kwargs)


def _onto(constraint: Constraint) -> Any:
    """Return the transform from unconstrained values, None where addition will do."""
    if constraint is constraints.real or constraint is constraints.real_vector:
        return None
    try:
        return transform_to(constraint)
    except NotImplementedError:
        return None
