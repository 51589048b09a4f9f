"""Custom deterministic functions: hand-written code with a state and an incremental update."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import torch

from gen_combinators.composed import variable_of
from gen_combinators.custom_run import CustomRun
from gen_combinators.custom_trace import CustomTrace
from gen_combinators.errors import CustomRetvalError
from gen_core import EMPTY, UNKNOWN, Diff, Generated, GenerativeFunction, Updated
from gen_core.captured import captured_by
from gen_core.diff import compare_retvals
from gen_core.run import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from gen_core import ArgDiffs, Call, ChoiceMap, Selection, Trace
    from gen_core.captured import Captured

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class CustomDeterministic(GenerativeFunction[P, R], Generic[P, R, S]):
    """A generative function without choices, whose author says how it is brought up to date.

    Subclass it, implement `execute`, and override `update` where a new value can be had from an old one
    for less. What both hand back as state is kept in the trace and given to the next update. Every score
    and weight is 0. Gradients go through `execute` by autograd; to write them by hand, subclass
    `CustomGradient` instead.

    Neither method may change a state, an argument or a return value in place: old traces keep them. For a
    function that is to be batched, the state is made of tensors, containers and dataclasses.

    Example:
        >>> class Total(CustomDeterministic[[Sequence[Tensor]], Tensor, Sequence[Tensor]]):
        ...     def execute(self, xs: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        ...         return torch.stack(list(xs)).sum(), xs
        >>>
        >>> total = Total()
    """

    def __init__(self, name: str | None = None, signature: inspect.Signature | None = None) -> None:
        """Set the name that messages use (the class's), and the signature (that of `execute`).

        Raises:
            TypeError: The signature has a `**` parameter; arguments have fixed places here.
        """
        signature = signature or inspect.signature(self.execute)
        kinds = {parameter.kind: parameter.name for parameter in signature.parameters.values()}
        super().__init__(name or type(self).__name__, signature)
        if inspect.Parameter.VAR_KEYWORD in kinds:
            raise TypeError(
                f"{self.name} takes **{kinds[inspect.Parameter.VAR_KEYWORD]}, and the arguments of a custom "
                f"function have fixed places. Take a dict as one argument."
            )

    @abstractmethod
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, S]:
        """Return the function's value, and the state that a later update may use."""

    def update(self, state: S, args: tuple[Any, ...], argdiffs: ArgDiffs) -> tuple[R, S, Diff]:
        """Return the value at new arguments, the new state, and how the value differs from the old one.

        Args:
            state: The state of the trace that is edited.
            args: The new arguments in the order of the parameters.
            argdiffs: One hint an argument: UNCHANGED, UNKNOWN, or `VectorDiff` and `IntDiff` where known.

        Returns:
            `(value, state, retdiff)`; the retdiff UNKNOWN is always right. By default, `execute` runs again.
        """
        by_place, by_name = self._bound(args)
        value, new = self.execute(*by_place, **by_name)
        return value, new, UNKNOWN

    @property
    def reference(self) -> str | None:
        """`module:name` of the variable of a module that holds this object, None if there is none."""
        return variable_of(self)

    def captured(self) -> Iterable[Captured]:
        """Return what `execute` reaches from outside, the attributes of this object included."""
        return captured_by(self.execute)

    # The rooms.

    def do_simulate(self, call: Call[Any], /) -> CustomTrace[R]:
        """Execute; there is nothing to draw."""
        value, state = self.executed(call)
        return CustomTrace(call, value, state)

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R]:
        """Execute; weight 0."""
        return Generated(self.do_simulate(call), _zero())

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> CustomTrace[R]:
        """Execute; score 0."""
        return self.do_simulate(call)

    def do_sample(self, call: Call[Any], /) -> R:
        """Execute, and keep the value."""
        value, _ = self.executed(call)
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R]:
        """Bring the value up to date; weight 0."""
        assert isinstance(trace, CustomTrace)
        result: Any = self.run(call, self.update, trace.state, call.values(), argdiffs)
        if not isinstance(result, tuple) or len(result) != 3 or not isinstance(result[2], Diff):
            raise CustomRetvalError(self.name, "update", "(value, state, retdiff)", result)
        value, state, retdiff = result
        if retdiff is UNKNOWN:
            retdiff = compare_retvals(trace.retval, value, trace.retval_version)
        return Updated(CustomTrace(call, value, state), _zero(), retdiff, EMPTY)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R]:
        """Bring the value up to date; weight 0."""
        return self.do_update(trace, call, argdiffs, EMPTY)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Return 0."""
        return _zero()

    def executed(self, call: Call[Any]) -> tuple[R, S]:
        """Return the value and the state at the arguments of `call`.

        Raises:
            CustomRetvalError: `execute` did not return a pair.
        """
        result: Any = self.run(call, self.execute, *call.args, **call.kwargs)
        if not isinstance(result, tuple) or len(result) != 2:
            raise CustomRetvalError(self.name, "execute", "(value, state)", result)
        return result

    def run(self, call: Call[Any], body: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run code of this function, in which traced choices are refused."""
        return run(CustomRun(self, call), body, args, kwargs)

    def _bound(self, values: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the arguments by position, and those that can only be given by name."""
        parameters = self.signature.parameters.values()
        names = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
        first = len(values) - len(names)
        return values[:first], dict(zip(names, values[first:], strict=True))


def _zero() -> Tensor:
    return torch.zeros((), dtype=torch.float64)
