"""A generative function with its arguments, not yet run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, final

from gen_core import rooms
from gen_core.address import Address, Key
from gen_core.arguments import NO_KWARGS
from gen_core.choicemap_build import Choices, choicemap
from gen_core.errors import ForgottenAddressError, OutsideModelError
from gen_core.judge import judge_constraints
from gen_core.results import Assessed, Generated, Proposed
from gen_core.run import _current
from gen_core.surface import Inline

if TYPE_CHECKING:
    from gen_core.interface import GenerativeFunction
    from gen_core.trace import Trace

R_co = TypeVar("R_co", covariant=True)


@final
class Call(Generic[R_co]):
    """A generative function applied to arguments: Gen.jl's `(gen_fn, args)` as one typed value.

    Making one runs nothing. Inside a model, `call @ address` visits it. Everywhere else it is how a
    model travels together with its arguments: `importance_sampling(model(xs), ...)`.
    """

    __slots__ = ("args", "gen_fn", "kwargs")

    def __init__(
        self,
        gen_fn: GenerativeFunction[..., R_co],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] = NO_KWARGS,
    ) -> None:
        """Authors of languages make calls with bound arguments; users write `gen_fn(*args)`."""
        self.gen_fn: Final = gen_fn
        self.args: Final = args
        self.kwargs: Final = kwargs

    def __matmul__(self, address: Address | Key[Any] | Inline) -> R_co:
        """Visit this call at `address` of the generative function that is running."""
        handler = _current.get()
        if handler is None:
            where = "inline" if isinstance(address, Inline) else repr(address)
            raise OutsideModelError(f"{self.gen_fn.name}(...) @ {where}", self.gen_fn.name)
        return handler.visit(self, address)

    def simulate(self) -> Trace[R_co]:
        """Run the function forward: a trace with choices t and untraced randomness r ~ p(.; x)."""
        return rooms.simulate(self)

    def generate(self, constraints: Choices, /) -> Generated[R_co]:
        """Run the function with some choices given, the others from the internal proposal q.

        Returns:
            The trace, and `weight = trace.project(addresses of constraints)`, that is
            log p(t, r; x) - log q(t; constraints, x) - log q(r; x, t).

        Raises:
            UnvisitedConstraintsError: A constraint's address was not visited.
        """
        choices = choicemap(constraints)
        generated = rooms.generate(self, choices)
        judge_constraints(choices, generated.trace)
        return generated

    def assess(self, choices: Choices, /) -> Assessed[R_co]:
        """Score exactly these choices; nothing is sampled, and nothing may be missing or left over.

        Returns:
            `score = log p(t, r; x) - log q(r; x, t)` and what the function returns.

        Raises:
            MissingChoiceError: A choice that the function makes was not given.
            UnvisitedConstraintsError: A given choice is not one that the function makes.
        """
        given = choicemap(choices)
        trace = rooms.assess(self, given)
        judge_constraints(given, trace)
        return Assessed(trace.score, trace.retval)

    def propose(self) -> Proposed[R_co]:
        """Run the function forward, for its choices: `(choices, score, retval)` of a fresh run."""
        trace = rooms.simulate(self)
        return Proposed(trace.choices, trace.score, trace.retval)

    def sample(self) -> R_co:
        """Run the function forward without recording or scoring, and return its value.

        In the body of a model, this is untraced randomness.
        """
        return rooms.sample(self)

    def values(self) -> tuple[Any, ...]:
        """Return all bound arguments, keyword arguments last."""
        return (*self.args, *self.kwargs.values()) if self.kwargs else self.args

    def __bool__(self) -> NoReturn:
        """Raise: a call has no truth value, and `if bernoulli(0.5):` means that `@` was forgotten."""
        raise ForgottenAddressError(self.gen_fn.name)

    def __repr__(self) -> str:
        parts = [*map(_brief, self.args), *(f"{name}={_brief(value)}" for name, value in self.kwargs.items())]
        return f"{self.gen_fn.name}({', '.join(parts)})"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
