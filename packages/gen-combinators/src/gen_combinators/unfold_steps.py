"""Functions that run a kernel step after step, each on what the step before returned: the rooms."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from gen_combinators.composed import Composed
from gen_combinators.errors import KernelError
from gen_combinators.map_groups import rest, selection_groups
from gen_combinators.map_run import at_element
from gen_combinators.unfold_edit import Asked, Edit
from gen_combinators.unfold_parallel import project_all
from gen_combinators.unfold_storage import kept
from gen_combinators.unfold_trace import StepwiseTrace
from gen_combinators.vector import Vector
from gen_core import ALL, NONE, Call, Generated, GenerativeFunction, rooms, total
from gen_core.choicemap import EMPTY

if TYPE_CHECKING:
    from torch import Tensor

    from gen_combinators.elements import Elements
    from gen_core import ArgDiffs, ChoiceMap, Diff, Selection, Trace, Updated

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Stepwise(Composed[P, R_co]):
    """A function that runs its kernel once a step and carries something from step to step.

    One of the kernel's first two arguments is what is carried, the other the step's own; the rest are
    parameters that all steps share. A subclass says how the function's arguments become these. The
    internal proposal is the kernel's, step by step: scores and weights are sums over the steps.
    """

    carry_place: ClassVar[int]
    """The position of what is carried, 0 or 1, among the arguments of the kernel and of this function."""

    def __init__(self, kernel: Callable[..., Call[Any]], names: tuple[str, str]) -> None:
        """Prepare to run `kernel`; `names` are those of this function's first two parameters."""
        kind = type(self).__name__
        if not isinstance(kernel, GenerativeFunction):
            raise KernelError(kind, kernel, "be a generative function")
        super().__init__(f"{kind}({kernel.name})", _signature(kind, kernel, names))
        self.kernel: GenerativeFunction[..., Any] = kernel

    @property
    def parts(self) -> tuple[object, ...]:
        """The kernel."""
        return (self.kernel,)

    # What a subclass says.

    @abstractmethod
    def length(self, call: Call[Any]) -> int:
        """Return the number of steps."""

    @abstractmethod
    def step_input(self, call: Call[Any], step: int) -> Any:
        """Return the argument of the kernel that is a step's own."""

    @abstractmethod
    def input_diffs(
        self, old: StepwiseTrace[Any], call: Call[Any], diff: Diff, kept: int
    ) -> Mapping[int, Diff]:
        """Return how the steps' own arguments changed, for those of the first `kept` steps that did."""

    @abstractmethod
    def carry(self, retval: Any) -> Any:
        """Return what is carried on from a step that returned `retval`."""

    @abstractmethod
    def result(self, call: Call[Any], retvals: Vector[Any]) -> Any:
        """Return what this function returns after steps that returned `retvals`."""

    @abstractmethod
    def retdiff(self, new_length: int, old_length: int, updated: Mapping[int, Diff]) -> Diff:
        """Return how the return value changed, from how those of the steps did."""

    # The rooms.

    def do_simulate(self, call: Call[Any], /) -> StepwiseTrace[R_co]:
        """Simulate every step."""
        return self._recorded(call, self._steps(call, lambda step, inner: rooms.simulate(inner)))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """Generate every step; the weight is the sum of the steps' weights."""
        weights: list[Tensor] = []

        def enter(step: int, inner: Call[Any]) -> Trace[Any]:
            trace, weight = rooms.generate(inner, constraints.child(step))
            weights.append(weight)
            return trace

        trace = self._recorded(call, self._steps(call, enter))
        return Generated(trace, total(weights))

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> StepwiseTrace[R_co]:
        """Assess every step."""
        return self._recorded(
            call, self._steps(call, lambda step, inner: rooms.assess(inner, choices.child(step)))
        )

    def do_sample(self, call: Call[Any], /) -> R_co:
        """Sample every step."""
        carry = call.args[self.carry_place]
        retvals: list[Any] = []
        for step in range(self.length(call)):
            retvals.append(self.at(step, rooms.sample, self.step_call(call, step, carry)))
            carry = self.at(step, self.carry, retvals[-1])
        value: R_co = self.result(call, Vector(retvals))
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Update the steps that the change reaches.

        weight = sum of the update weights of these + the generate weights of new steps - the scores of
        dropped ones
        """
        edit: Edit[R_co] = Edit(self, trace, call, argdiffs)
        edit.keep(Asked(constraints.child_keys(), constraints.child, EMPTY, rooms.update))
        edit.add(lambda step, inner: rooms.generate(inner, constraints.child(step)))
        edit.drop(lambda old: old.score)
        return edit.finish()

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Regenerate the steps that the selection or a change reaches.

        weight = sum of the regenerate weights of these + the weights of generating new steps without
        constraints - the project(NONE) of dropped ones
        """
        edit: Edit[R_co] = Edit(self, trace, call, argdiffs)
        edit.keep(Asked(selection.keys(), selection.child, NONE, rooms.regenerate))
        edit.add(lambda step, inner: rooms.generate(inner, EMPTY))
        edit.drop(lambda old: rooms.project(old, NONE))
        return edit.finish()

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum the steps' projections."""
        if selection is ALL:
            return trace.score
        elements = steps_of(trace)
        every = range(len(elements))
        groups = selection_groups(selection, every)
        terms: list[Tensor] = []
        for group in [*groups, *rest(groups, every, NONE)]:
            together = project_all(self.kernel, elements, group)
            if together is not None:
                terms.append(together)
            else:
                terms += [rooms.project(elements[step], group.of(step)) for step in group.indices]
        return total(terms)

    # How a step is entered.

    def start(self, call: Call[Any]) -> Any:
        """Return what is carried into step 0."""
        return call.args[self.carry_place]

    def assembled(self, call: Call[Any], steps: Sequence[Trace[Any]]) -> StepwiseTrace[R_co]:
        """Return the trace of a call whose steps are these."""
        return self._recorded(call, list(steps))

    def step_call(self, call: Call[Any], step: int, carry: Any) -> Call[Any]:
        """Return the kernel's call of one step."""
        own = self.step_input(call, step)
        first = (own, carry) if self.carry_place else (carry, own)
        return Call(self.kernel, (*first, *call.args[2:]), call.kwargs)

    def repeated(self, call: Call[Any], old: Call[Any]) -> Call[Any]:
        """Return the kernel's call of a step as it was in `old`, with the parameters of `call`."""
        return Call(self.kernel, (*old.args[:2], *call.args[2:]), call.kwargs)

    def at(self, step: int, operation: Callable[..., T], *args: Any) -> T:
        """Run an operation of one step; its errors say which."""
        found: T = at_element(self, step, operation, *args)
        return found

    def _steps(self, call: Call[Any], enter: Callable[[int, Call[Any]], Trace[Any]]) -> list[Trace[Any]]:
        carry = call.args[self.carry_place]
        traces: list[Trace[Any]] = []
        for step in range(self.length(call)):
            trace = self.at(step, enter, step, self.step_call(call, step, carry))
            traces.append(trace)
            carry = self.at(step, self.carry, trace.retval)
        return traces

    def _recorded(self, call: Call[Any], traces: list[Trace[Any]]) -> StepwiseTrace[R_co]:
        score = total(trace.score for trace in traces)
        return StepwiseTrace(call, kept(traces), score)


def steps_of(trace: Trace[Any]) -> Elements[Any]:
    """Return the traces of the steps of a stepwise function's trace."""
    assert isinstance(trace, StepwiseTrace)
    return trace.elements


def _signature(kind: str, kernel: GenerativeFunction[..., Any], names: tuple[str, str]) -> inspect.Signature:
    """Return the kernel's signature with other names for its first two parameters.

    Raises:
        KernelError: It has fewer.
    """
    rest = list(kernel.signature.parameters.values())
    for _ in names:
        if rest and rest[0].kind in (_Kind.POSITIONAL_ONLY, _Kind.POSITIONAL_OR_KEYWORD):
            rest.pop(0)
        elif not rest or rest[0].kind is not _Kind.VAR_POSITIONAL:
            raise KernelError(kind, kernel, "take two arguments by position, and then any others")
    taken = {parameter.name for parameter in rest}
    own = [name if name not in taken else f"{name}_" for name in names]
    return inspect.Signature([*(inspect.Parameter(name, _Kind.POSITIONAL_ONLY) for name in own), *rest])


_Kind = inspect._ParameterKind
