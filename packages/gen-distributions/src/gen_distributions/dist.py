"""The `@dist` language: a function that transforms one random draw becomes a distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from types import FunctionType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, cast, final

from torch import Tensor
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Family, Requirement
from gen_distributions.discrete_image import DiscreteImage
from gen_distributions.dist_compile import captured_cells
from gen_distributions.dist_parser import Plan, read_body
from gen_distributions.dist_steps import compose
from gen_distributions.relabelled import relabelled
from gen_distributions.signatures import Signed
from gen_distributions.tensors import promote
from gen_distributions.transformed import Transformed

P = ParamSpec("P")
T = TypeVar("T")


def dist(function: Callable[P, T]) -> Distribution[P, T]:
    """Return the distribution of what a function returns.

    The function makes exactly one random call, to a distribution that is a global or captured, and applies
    arithmetic with deterministic operands, `exp` and `log` to the result, or looks up a label with it:

        @dist
        def shifted_log_normal(mu: Tensor, sigma: Tensor, shift: Tensor) -> Tensor:
            return torch.exp(normal.sample(mu, sigma)) + shift

        @dist
        def weather(p_rain: float) -> str:
            return ["sun", "rain"][bernoulli.sample(p_rain)]

    The density is that of the random call at the inverse, divided by the slope. For discrete draws no slope
    is needed; labels need a finite draw, and equal labels share their probability. The body is read, not run:
    assignments to names may come before the `return`, branches and loops may not.

    Raises:
        DistBodyError: The body is anything else; names the file and line.
    """
    return Distribution(DistFamily(function, read_body(function)))


@final
@dataclass(frozen=True, eq=False)
class DistFamily(Generic[P, T]):
    """The law of what a function returns. Equal where the code and everything captured is."""

    function: Callable[P, T]
    plan: Plan

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """None: no argument is one tensor."""
        return {}

    invalid_is_nan = False
    can_stack = False
    """Expressions in the body may do anything to arguments, so these cannot be stacked."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DistFamily) and _same(_parts(self.function), _parts(other.function))

    def __hash__(self) -> int:
        return hash(_parts(self.function)[0])

    @property
    def name(self) -> str:
        """The function's name."""
        return str(cast(Any, self.function).__name__)

    @property
    def is_discrete(self) -> bool:
        """As the random call."""
        return self.plan.base.is_discrete

    @property
    def has_rsample(self) -> bool:
        """As the random call."""
        return self.plan.base.has_rsample

    @property
    def is_enumerable(self) -> bool:
        """As the random call."""
        return self.plan.base.is_enumerable

    @property
    def event_dim(self) -> int:
        """As the random call."""
        return self.plan.base.family.event_dim

    def event_shape(self, *args: P.args, **kwargs: P.kwargs) -> tuple[int, ...]:
        """Return the event shape of what the random call and the operations come to."""
        at = self._at(*args, **kwargs)
        return at.family.event_shape(*at.args, **at.kwargs)

    @cached_property
    def sample(self) -> Callable[P, T]:
        """Draw one value."""
        return Signed(self._sample, signature(self.function))

    def _sample(self, *args: P.args, **kwargs: P.kwargs) -> T:
        at = self._at(*args, **kwargs)
        value: T = at.family.sample(*at.args, **at.kwargs)
        return value

    def log_prob(self, value: T, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return the log density of each event."""
        at = self._at(*args, **kwargs)
        return at.family.log_prob(value, *at.args, **at.kwargs)

    def support(self, *args: P.args, **kwargs: P.kwargs) -> Constraint:
        """Return the image of the support of the random call, or the labels."""
        at = self._at(*args, **kwargs)
        return at.family.support(*at.args, **at.kwargs)

    def convert(self, value: object, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return a given value as a tensor of the dtype that is drawn, or a label as it is."""
        at = self._at(*args, **kwargs)
        converted: T = at.family.convert(value, *at.args, **at.kwargs)
        return converted

    def enumerate_support(self, *args: P.args, **kwargs: P.kwargs) -> Sequence[T]:
        """Return every value."""
        at = self._at(*args, **kwargs)
        return at.family.enumerate_support(*at.args, **at.kwargs)

    def requirements(self, *args: P.args, **kwargs: P.kwargs) -> Iterable[Requirement]:
        """Return what the random call requires, of the parameters that it gets."""
        base = self.plan.base
        call_args, call_kwargs, *_ = self.plan.evaluate(*args, **kwargs)
        for parameter, must, holds in base.family.requirements(*call_args, **call_kwargs):
            own = self.plan.sources.get(parameter)
            if own is None:
                must = f"such that `{parameter}` of {base.name} is {must}"
                own = next(iter(signature(self.function).parameters), None)
            if own is not None:
                yield Requirement(own, must, holds)

    def _at(self, *args: P.args, **kwargs: P.kwargs) -> _At:
        base, operations = self.plan.base, self.plan.operations
        call_args, call_kwargs, *operands = self.plan.evaluate(*args, **kwargs)
        labels = operands.pop() if self.plan.has_labels else None
        family: Family[..., Any] = base.family
        if operations and base.is_discrete:
            family = DiscreteImage(base, compose(operations, operands))
        elif operations:
            known = [operand for operand in operands if operand is not None]
            *tensors, _ = promote(*known, *_tensors(call_args), 0.0)
            numbers = iter(tensors)
            operands = [None if operand is None else next(numbers) for operand in operands]
            family = Transformed(base, compose(operations, operands))
        if labels is not None:
            family = relabelled(Distribution(family), labels).family
        return _At(family, call_args, call_kwargs)


class _At(NamedTuple):
    """A family that a body comes to at some arguments, and the arguments of its random call."""

    family: Family[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _tensors(args: tuple[Any, ...]) -> list[Tensor]:
    return [argument for argument in args if isinstance(argument, Tensor)]


def _parts(function: Callable[..., Any]) -> tuple[Any, ...]:
    """Return what makes two functions the same: code, defaults and captured values."""
    assert isinstance(function, FunctionType)
    cells = captured_cells(function).values()
    return (
        function.__code__,
        function.__defaults__ or (),
        tuple((function.__kwdefaults__ or {}).items()),
        tuple(cell.cell_contents for cell in cells),
    )


def _same(first: Any, second: Any) -> bool:
    if first is second:
        return True
    if isinstance(first, Tensor) or type(first) is not type(second):
        return False
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)
