"""What the body of a `@dist` function may do to its random value, as transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.distributions import biject_to
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    PowerTransform,
    Transform,
)


class Sign(Enum):
    """What is known of the sign of a random value before the parameters are."""

    POSITIVE = 1
    UNKNOWN = 2
    ANY = 3


class Operation(NamedTuple):
    """One operation on the random value."""

    make: Callable[[Any], Transform]
    """Returns the transform, given the other operand (None where there is none)."""
    sign: Sign | None = None
    """The sign of the result; None where it is not known unless it was any."""
    needs_positive: bool = False


def sign_after(operation: Operation, before: Sign) -> Sign:
    """Return the sign of the result of an operation."""
    if operation.sign is not None:
        return operation.sign
    return Sign.ANY if before is Sign.ANY else Sign.UNKNOWN


def compose(operations: Sequence[Operation], operands: Sequence[Any]) -> Transform:
    """Return the transform that carries out operations, in order."""
    return ComposeTransform(
        [operation.make(operand) for operation, operand in zip(operations, operands, strict=True)]
    )


@final
class Nonzero(Constraint):
    """The numbers that are not 0."""

    def check(self, value: Tensor) -> Tensor:
        """Return where the value is not 0."""
        return value != 0


NONZERO = Nonzero()
# Not onto, since the set has two parts; it gives a point inside, which is all that is asked of it.
biject_to.register(Nonzero, lambda _: ExpTransform())


@final
class Reciprocal(Transform):
    """x -> 1 / x over the numbers that are not 0."""

    domain = NONZERO
    codomain = NONZERO
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reciprocal)

    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return 1 / x

    def _inverse(self, y: Tensor) -> Tensor:
        return 1 / y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return log |dy/dx| = -2 log |x|."""
        return -2 * x.abs().log()


def _reciprocal_times(c: Any) -> Transform:
    return ComposeTransform([Reciprocal(), AffineTransform(0, c)])


def _power_of(c: Any) -> Transform:
    return ComposeTransform([AffineTransform(0, torch.as_tensor(c).log()), ExpTransform()])


# By what stands where: `x` is the random value, `c` the other operand.
OPERATIONS: dict[str, Operation] = {
    "x + c": Operation(lambda c: AffineTransform(c, 1)),
    "c + x": Operation(lambda c: AffineTransform(c, 1)),
    "x - c": Operation(lambda c: AffineTransform(-c, 1)),
    "c - x": Operation(lambda c: AffineTransform(c, -1)),
    "x * c": Operation(lambda c: AffineTransform(0, c)),
    "c * x": Operation(lambda c: AffineTransform(0, c)),
    "x / c": Operation(lambda c: AffineTransform(0, 1 / c)),
    "c / x": Operation(_reciprocal_times),
    "x ** c": Operation(PowerTransform, Sign.POSITIVE, needs_positive=True),
    "c ** x": Operation(_power_of, Sign.POSITIVE),
    "-x": Operation(lambda _: AffineTransform(0, -1)),
    "exp(x)": Operation(lambda _: ExpTransform(), Sign.POSITIVE),
    "log(x)": Operation(lambda _: ExpTransform().inv, Sign.ANY, needs_positive=True),
}
