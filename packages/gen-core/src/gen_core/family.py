"""What the author of a distribution implements: a parametric family of densities.

To add a distribution, write a class with these members and wrap one instance of it,
`my_distribution = gen_core.Distribution(MyFamily())`; to have it found by name, return it
from the `gen_distributions` hook (`gen_core/hookspecs.py`). Nothing needs to be inherited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

P = ParamSpec("P")
T = TypeVar("T")


class Requirement(NamedTuple):
    """One demand on a parameter, and where it holds."""

    parameter: str
    """The parameter's name in the signature of `sample`."""
    must: str
    """What it must be, as it reads after "must be": `positive`, `greater than low`."""
    holds: Tensor | bool
    """Boolean, of any shape that broadcasts with the batch shape; a plain one for Python numbers."""

    @property
    def is_met(self) -> bool:
        """Whether it holds everywhere."""
        holds = self.holds
        return holds if isinstance(holds, bool) else bool(holds.all())


class Family(Protocol[P, T]):
    """A family of probability densities, indexed by parameters `P`, over values of type `T`.

    Parameters broadcast against each other as in `torch.distributions`: the last `event_dim`
    dimensions of a value belong to one event, the dimensions before it are independent events.
    The number of trailing dimensions of a parameter that belong to one event is
    `arg_constraints[name].event_dim`. Any number of leading dimensions is allowed everywhere,
    which lets many choices be scored by one call.

    One optional method makes choices of one number several times faster to score one at a time:
    `log_prob_of_numbers(value, *parameters) -> float`, the same as `log_prob` in Python's arithmetic
    (`gen_core/numbers.py` says what it may leave to tensors). It is used where `invalid_is_nan`.

    Only `sample` and `log_prob` are held to `P` by type checkers, which infer it from them: one member
    that takes any arguments, as inherited defaults do, would make the arguments of every call unchecked.
    """

    @property
    def name(self) -> str:
        """The name that models use, and under which plugins register the distribution."""
        ...

    @property
    def is_discrete(self) -> bool:
        """Whether the density is with respect to counting measure."""
        ...

    @property
    def has_rsample(self) -> bool:
        """Whether `sample` is differentiable in the parameters."""
        ...

    @property
    def is_enumerable(self) -> bool:
        """Whether `enumerate_support` works."""
        ...

    @property
    def can_stack(self) -> bool:
        """Whether choices may be scored together: `log_prob` of stacked values, under stacked parameters.

        Numbers become tensors and tensors get one more leading dimension, so this is False where a
        parameter must stay a Python number, or where `log_prob` does more with parameters than broadcast.
        """
        ...

    @property
    def invalid_is_nan(self) -> bool:
        """Whether `log_prob` is NaN, whatever the value, for a parameter that breaks a requirement.

        Then `requirements` are looked at only where a score is NaN, which saves time; if False, before
        each scoring.
        """
        ...

    @property
    def event_dim(self) -> int:
        """How many trailing dimensions of a value belong to one event."""
        ...

    def event_shape(self, *args: Any, **kwargs: Any) -> tuple[int, ...]:
        """Return the shape of one event, of length `event_dim`: `()` for numbers.

        A given value whose last dimensions differ is refused, where it would be broadcast silently.
        """
        ...

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """The constraint of each parameter that is a tensor, by name."""
        ...

    def support(self, *args: Any, **kwargs: Any) -> Constraint:
        """Return the set of values whose density can be positive."""
        ...

    def sample(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Draw one value. Only out-of-place random operations, so that it can be batched."""
        ...

    def log_prob(self, value: T, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return log densities in nats, one an event; -inf off the support."""
        ...

    def convert(self, value: object, /, *args: Any, **kwargs: Any) -> T:
        """Return a given value (a Python number, an array, a tensor) as this family's kind."""
        ...

    def enumerate_support(self, *args: Any, **kwargs: Any) -> Sequence[T]:
        """Return every value of the support, each with the shape that `sample` gives."""
        ...

    def requirements(self, *args: Any, **kwargs: Any) -> Iterable[Requirement]:
        """Return what the parameters must satisfy, evaluated on these parameters."""
        ...
