"""Distributions: generative functions with one choice, at the empty address."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final

from gen_core.choice import ChoiceTrace
from gen_core.choicemap import EMPTY, ChoiceMap
from gen_core.diff import UNCHANGED, UNKNOWN, ArgDiffs
from gen_core.draw import draw
from gen_core.errors import MissingChoiceError
from gen_core.interface import GenerativeFunction
from gen_core.numbers import LogProbOfNumbers
from gen_core.results import Generated, Updated
from gen_core.scoring import given_value, log_density, score_choices

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

    from gen_core.call import Call
    from gen_core.family import Family
    from gen_core.selection import Selection
    from gen_core.trace import Trace

P = ParamSpec("P")
T = TypeVar("T")


@final
class Distribution(GenerativeFunction[P, T]):
    """The generative function that draws one value from a `Family`, and returns it.

    Its arguments are the family's parameters; they broadcast, and the score of the one choice is the
    sum over its elements. The internal proposal is forward. Two distributions are equal if their
    families are.
    """

    def __init__(self, family: Family[P, T]) -> None:
        """Make a generative function of a family; the signature is that of `family.sample`."""
        super().__init__(family.name, inspect.signature(family.sample))
        self.family = family
        self.of_numbers: LogProbOfNumbers | None = (
            getattr(family, "log_prob_of_numbers", None) if family.invalid_is_nan else None
        )
        """What scores choices of one number faster than tensors do, if the family has it."""

    @property
    def reference(self) -> str | None:
        """`module:name` of this distribution in the module of its family, None if it is not there."""
        module = sys.modules.get(type(self.family).__module__)
        names = [name for name, value in vars(module).items() if value is self] if module else []
        return f"{type(self.family).__module__}:{names[0]}" if names else None

    @property
    def is_discrete(self) -> bool:
        """Whether the density is with respect to counting measure."""
        return self.family.is_discrete

    @property
    def has_rsample(self) -> bool:
        """Whether `rsample` is differentiable in the parameters."""
        return self.family.has_rsample

    @property
    def is_enumerable(self) -> bool:
        """Whether the support is finite and `enumerate_support` lists it."""
        return self.family.is_enumerable

    def support(self, *args: P.args, **kwargs: P.kwargs) -> Constraint:
        """Return the set of values whose density can be positive."""
        return self.family.support(*args, **kwargs)

    def enumerate_support(self, *args: P.args, **kwargs: P.kwargs) -> Sequence[T]:
        """Return every value of the support."""
        return self.family.enumerate_support(*args, **kwargs)

    def sample(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Draw one value, a constant without gradient."""
        call = self(*args, **kwargs)
        value: T = draw(self, call.args, call.kwargs)
        return value

    def rsample(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Draw one value that is differentiable in the parameters.

        Raises:
            TypeError: The distribution has no reparameterised sampler.
        """
        if not self.family.has_rsample:
            raise TypeError(f"{self.name} has no reparameterised sampler; use {self.name}.sample(...).")
        return self.family.sample(*args, **kwargs)

    def log_prob(self, value: T | float, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return the log density of `value`, summed over its elements, shape `()`, in nats.

        Raises:
            ParameterError: A parameter is outside its constraint.
        """
        call = self(*args, **kwargs)
        return log_density(call, given_value(call, value))

    # The rooms.

    def do_simulate(self, call: Call[Any], /) -> ChoiceTrace[T]:
        """Draw the choice."""
        return _scored(call, draw(self, call.args, call.kwargs))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[T]:
        """Take the choice from the constraints (weight = score), or draw it (weight = 0)."""
        if constraints.is_leaf:
            trace = _scored(call, given_value(call, constraints.value))
            return Generated(trace, trace.score)
        trace = self.do_simulate(call)
        return Generated(trace, trace.score.new_zeros(()))

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[T]:
        """Take the choice from `choices`."""
        if not choices.is_leaf:
            raise MissingChoiceError(self.name, (), choices.paths())
        return _scored(call, given_value(call, choices.value))

    def do_sample(self, call: Call[Any], /) -> T:
        """Draw, without scoring."""
        value: T = draw(self, call.args, call.kwargs)
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[T]:
        """Keep or replace the value; weight = new - old log density."""
        if constraints.is_leaf:
            new = _scored(call, given_value(call, constraints.value))
            return Updated(new, new.score - trace.score, UNKNOWN, trace.choices)
        new = _scored(call, given_value(call, trace.retval))
        return Updated(new, new.score - trace.score, UNCHANGED, EMPTY)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[T]:
        """Keep the value (weight = new - old log density) or draw it again (weight = 0)."""
        if not selection.selects_here:
            return self.do_update(trace, call, argdiffs, EMPTY)
        new = self.do_simulate(call)
        return Updated(new, new.score.new_zeros(()), UNKNOWN, trace.choices)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Return the score if the choice is selected, else 0."""
        return trace.score if selection.selects_here else trace.score.new_zeros(())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Distribution) and bool(self.family == other.family))

    def __hash__(self) -> int:
        return hash(self.family)


def _scored(call: Call[Any], value: T) -> ChoiceTrace[T]:
    trace = ChoiceTrace(call, value)
    score_choices([trace], [()], call.gen_fn.name)
    return trace
