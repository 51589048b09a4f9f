"""Pure functions as generative functions: `@deterministic`, and `with_gradient` for one's own gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final

from gen_combinators.custom import CustomDeterministic
from gen_combinators.custom_gradient import CustomGradient
from gen_combinators.function import Function
from gen_core.captured import captured_by
from gen_core.where import annotate

if TYPE_CHECKING:
    from gen_core import GenerativeFunction
    from gen_core.captured import Captured

P = ParamSpec("P")
R = TypeVar("R")


def deterministic(function: Callable[P, R]) -> Deterministic[P, R]:
    """Turn a pure function into a generative function without choices.

    So it can be a kernel, and a callee whose value is not computed again while its arguments stay.

    Example:
        >>> @deterministic
        ... def distance(a: Tensor, b: Tensor) -> Tensor:
        ...     return (a - b).norm()
    """
    return Deterministic(function)


def with_gradient(
    function: Callable[P, R], gradient: Callable[[tuple[Any, ...], R, Any], Sequence[Any]]
) -> WithGradient[P, R]:
    """Turn a pure function into a generative function with a hand-written gradient.

    Args:
        function: Computes the value.
        gradient: Takes the arguments, the value, and the gradient in the value; returns the gradient in
            each argument, None where there is none: see `CustomGradient.gradient`.

    Example:
        >>> def relu(x: Tensor) -> Tensor:
        ...     return x.clamp(min=0.0)
        >>>
        >>> leaky = with_gradient(relu, lambda args, value, g: [torch.where(args[0] > 0, g, 0.1 * g)])
    """
    return WithGradient(function, gradient)


@final
class Deterministic(CustomDeterministic[P, R, None]):
    """A pure function; equal if of one definition with equal captured values, and without parameters."""

    def __init__(self, function: Callable[P, R]) -> None:
        """Users write `@deterministic`."""
        self.function = Function(function)
        super().__init__(self.function.name, self.function.signature)
        self.__doc__ = function.__doc__

    def captured(self) -> Iterable[Captured]:
        """Return what the function and its helpers reach from outside."""
        return captured_by(self.function.source)

    def execute(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, None]:
        """Return the value; there is no state."""
        return _value(self, self.function, args, kwargs), None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Deterministic):
            return False
        same_params = self.params is other.params or not (self.params or other.params)
        return same_params and self.function == other.function

    def __hash__(self) -> int:
        return hash(self.function)


@final
class WithGradient(CustomGradient[P, R, None]):
    """A pure function and its gradient; equal if both parts are of one definition each."""

    def __init__(
        self, function: Callable[P, R], gradient: Callable[[tuple[Any, ...], R, Any], Sequence[Any]]
    ) -> None:
        """Users write `with_gradient(function, gradient)`."""
        self.function = Function(function)
        self.gradient_function = Function(gradient)
        super().__init__(self.function.name, self.function.signature)

    def captured(self) -> Iterable[Captured]:
        """Return what the function and its helpers reach from outside."""
        return captured_by(self.function.source)

    def execute(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, None]:
        """Return the value; there is no state."""
        return _value(self, self.function, args, kwargs), None

    def gradient(self, args: tuple[Any, ...], retval: R, retgrad: Any, state: None) -> Sequence[Any]:
        """Return what the gradient function does."""
        return self.gradient_function(args, retval, retgrad)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WithGradient):
            return False
        return self.function == other.function and self.gradient_function == other.gradient_function

    def __hash__(self) -> int:
        return hash(self.function)


def _value(gen_fn: GenerativeFunction[..., Any], function: Function[P, R], args: Any, kwargs: Any) -> R:
    try:
        return function.source(*args, **kwargs)
    except BaseException as error:
        # At the line of the user's function, rather than at that of `execute`.
        annotate(error, gen_fn, function.source)
        raise
