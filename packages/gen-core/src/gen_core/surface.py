"""The surface syntax that every modelling language shares: `call @ address`, `param` and `inline`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, final

from gen_core.errors import OutsideModelError
from gen_core.run import Handler, current_handler

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

Init: TypeAlias = "Tensor | float | Callable[[], Tensor | float]"


@final
class Inline:
    """The type of `inline`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "inline"


inline = Inline()
"""`call @ inline` splices a callee of the same language: its addresses become the caller's own."""


def param(name: str, init: Init, constraint: Constraint | None = None) -> Tensor:
    """Return the value of a trainable parameter of the generative function that is running.

    The parameter is an `nn.Parameter` that belongs to the function, is created at the first run that
    reaches it, and is kept between runs.

    Args:
        name: Its name, unique within the function.
        init: Its first value, or a function without arguments that returns it and is called once.
        constraint: The set that it stays in, such as `torch.distributions.constraints.positive`; the
            `nn.Parameter` is then the unconstrained value that `transform_to(constraint)` maps there.

    Returns:
        A tensor of the shape of `init`, differentiable in the `nn.Parameter`.

    Raises:
        OutsideModelError: No generative function is running.
        ParameterError: `init` is not a floating point value inside the constraint.
    """
    handler = current_handler()
    if handler is None:
        raise OutsideModelError(f"param({name!r}, ...)")
    value = handler.param(name, init, constraint)
    for listener in _listeners:
        listener(handler)
    return value


def on_param(listener: Callable[[Handler], None]) -> None:
    """Call `listener` with the handler whenever a running body has asked for a parameter."""
    _listeners.append(listener)


_listeners: list[Callable[[Handler], None]] = []
