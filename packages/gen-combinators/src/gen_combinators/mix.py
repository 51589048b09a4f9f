"""`mix`: a mixture of generative functions, of which the component is a choice of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, final, overload

from gen_combinators.composed import Composed
from gen_combinators.or_else import Arguments, SwitchEach
from gen_core import (
    EMPTY,
    UNCHANGED,
    Call,
    Generated,
    GenerativeFunction,
    Trace,
    Updated,
    register_trace,
    rooms,
    total,
)
from gen_core.arguments import all_unchanged
from gen_core.choicemap import branch
from gen_distributions import categorical
from gen_distributions.tensors import VectorLike

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, ChoiceMap, Path, Selection

R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

COMPONENT = "component"
SAMPLE = "sample"


@overload
def mix(
    first: Callable[..., Call[R1]], second: Callable[..., Call[R2]], /
) -> GenerativeFunction[[VectorLike, Arguments, Arguments], R1 | R2]: ...
@overload
def mix(
    first: Callable[..., Call[R1]], second: Callable[..., Call[R2]], third: Callable[..., Call[R3]], /
) -> GenerativeFunction[[VectorLike, Arguments, Arguments, Arguments], R1 | R2 | R3]: ...
@overload
def mix(*components: Callable[..., Call[R]]) -> GenerativeFunction[..., R]: ...
def mix(*components: Callable[..., Call[Any]]) -> GenerativeFunction[..., Any]:
    """Return the mixture of generative functions.

    Its arguments are the components' probabilities, as those of `categorical`: nonnegative, and they need not
    sum to 1; and one tuple of arguments for each component. It draws which component it is at "component"
    and runs it at "sample", where a change of component keeps the choices at shared addresses, as in a
    `Switch`.
    For a mixture whose component is summed out, see `gen_distributions.heterogeneous_mixture`.

    >>> mix(normal, walk)([0.9, 0.1], (0.0, 1.0), (10,)) @ "step"

    Raises:
        NoBranchesError: There is no component.
        KernelError: A component is no generative function.
    """
    return Mix(components)


@final
class Mix(Composed[..., R_co]):
    """A mixture; users write `mix`."""

    def __init__(self, components: tuple[Any, ...]) -> None:
        """Make a generative function of components."""
        arguments = [f"args_{number}" for number in range(len(components))]
        self.components: SwitchEach[R_co] = SwitchEach("mix", components, [COMPONENT, *arguments])
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind) for name in ("probs", *arguments)]
        super().__init__(self.components.name, inspect.Signature(parameters))

    @property
    def parts(self) -> tuple[object, ...]:
        """The components."""
        return (self.components,)

    def do_simulate(self, call: Call[Any], /) -> MixTrace[R_co]:
        """Simulate the component's number, then the component."""
        component = rooms.simulate(_choice(call))
        return MixTrace(call, component, rooms.simulate(self._sample(call, component)))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """Weight: the sum of the weights of both."""
        component, first = rooms.generate(_choice(call), constraints.child(COMPONENT))
        sample, second = rooms.generate(self._sample(call, component), constraints.child(SAMPLE))
        return Generated(MixTrace(call, component, sample), total([first, second]))

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> MixTrace[R_co]:
        """Assess both."""
        component = rooms.assess(_choice(call), choices.child(COMPONENT))
        sample = rooms.assess(self._sample(call, component), choices.child(SAMPLE))
        return MixTrace(call, component, sample)

    def do_sample(self, call: Call[Any], /) -> R_co:
        """Sample both."""
        return rooms.sample(Call(self.components, (rooms.sample(_choice(call)), *call.args[1:])))

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Weight: the sum of the update weights of both."""

        def update(old: Trace[Any], new: Call[Any], diffs: ArgDiffs, key: str) -> Updated[Any]:
            given = constraints.child(key)
            if given.is_empty and all_unchanged(diffs):
                return Updated(old, old.score.new_zeros(()), UNCHANGED, EMPTY)
            return rooms.update(old, new, diffs, given)

        return self._edited(trace, call, argdiffs, update)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Weight: the sum of the regenerate weights of both."""

        def regenerate(old: Trace[Any], new: Call[Any], diffs: ArgDiffs, key: str) -> Updated[Any]:
            return rooms.regenerate(old, new, diffs, selection.child(key))

        return self._edited(trace, call, argdiffs, regenerate)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum the projections of both."""
        component, sample = _subtraces(trace)
        parts = ((component, COMPONENT), (sample, SAMPLE))
        return total([rooms.project(each, selection.child(key)) for each, key in parts])

    def _sample(self, call: Call[Any], component: Trace[Any]) -> Call[R_co]:
        return Call(self.components, (component.retval, *call.args[1:]))

    def _edited(
        self,
        trace: Trace[Any],
        call: Call[Any],
        argdiffs: ArgDiffs,
        edit: Callable[[Trace[Any], Call[Any], ArgDiffs, str], Updated[Any]],
    ) -> Updated[R_co]:
        component, sample = _subtraces(trace)
        first = edit(component, _choice(call), argdiffs[:1], COMPONENT)
        diffs = (first.retdiff, *argdiffs[1:])
        second = edit(sample, self._sample(call, first.trace), diffs, SAMPLE)
        discard = branch([(COMPONENT, first.discard), (SAMPLE, second.discard)])
        new: MixTrace[R_co] = MixTrace(call, first.trace, second.trace)
        return Updated(new, total([first.weight, second.weight]), second.retdiff, discard)


@final
class MixTrace(Trace[R_co]):
    """The record of a mixture."""

    __slots__ = ("_component", "_sample")

    def __init__(self, call: Call[Any], component: Trace[Any], sample: Trace[R_co]) -> None:
        """Record which component it was, and its run."""
        super().__init__(call, sample.retval, total([component.score, sample.score]))
        self._component = component
        self._sample = sample

    @property
    def component(self) -> Trace[Any]:
        """The trace of the component's number."""
        return self._component

    @property
    def sample(self) -> Trace[R_co]:
        """The trace of the component."""
        return self._sample

    @property
    def choices(self) -> ChoiceMap:
        """The component's number, and the component's choices below "sample"."""
        return branch([(COMPONENT, self._component.choices), (SAMPLE, self._sample.choices)])

    def find(self, path: Path) -> Trace[Any] | None:
        """Return this trace, or what is at or below one of the two keys."""
        if not path:
            return self
        if path[0] == COMPONENT:
            return self._component.find(path[1:])
        return self._sample.find(path[1:]) if path[0] == SAMPLE else None


def _choice(call: Call[Any]) -> Call[Tensor]:
    return Call(categorical, (call.args[0], None))


def _subtraces(trace: Trace[Any]) -> tuple[Trace[Any], Trace[Any]]:
    assert isinstance(trace, MixTrace)
    return trace.component, trace.sample


register_trace(MixTrace, lambda t: (t.call, t.component, t.sample), MixTrace)
