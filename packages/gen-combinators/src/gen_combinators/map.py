"""`Map`: a kernel that is run for each element of its arguments, independently."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, final, overload

from torch import Tensor

from gen_combinators.batching import Refusal, attempt, refusal_of, remember
from gen_combinators.composed import Composed
from gen_combinators.elements import Elements
from gen_combinators.errors import KernelError
from gen_combinators.map_arguments import Arguments
from gen_combinators.map_edit import Edit
from gen_combinators.map_edit_one import only_element, update_one
from gen_combinators.map_groups import Group, constraint_groups, rest, selection_groups
from gen_combinators.map_run import Enter, Entered, at_element, enter_all, wide_sum
from gen_combinators.map_trace import MapTrace
from gen_combinators.shared import Shared
from gen_combinators.vector import Vector
from gen_core import ALL, NONE, Generated, GenerativeFunction, rooms, total
from gen_core.choicemap import EMPTY

if TYPE_CHECKING:
    from gen_core import ArgDiffs, Call, ChoiceMap, Selection, Trace, Updated

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

Many: TypeAlias = "Sequence[A] | Tensor | Shared[A]"
"""A value for each element, or one that all share."""


@final
class Map(Composed[P, Sequence[R]]):
    """Runs a kernel for each element of its arguments; the choices of element i lie below the address i.

    Its arguments are the kernel's, each a sequence or a tensor (of which the first dimension is the
    elements'), or `shared`; its return value is the sequence of the kernel's. The score is the sum of the
    elements'.

    An edit visits the elements that it touches: those that are constrained or selected, and those whose
    arguments changed. The others cost nothing, however many there are. Operations on many elements run as
    one batch where the kernel can be batched; `trace.storage` says whether it was, and why not.

    Two are equal if their kernels are.

    Example:
        >>> @gen
        ... def point(x: Tensor, slope: Tensor) -> Tensor:
        ...     is_outlier = bernoulli(0.1) @ "is_outlier"
        ...     return normal(slope * x, torch.where(is_outlier, 10.0, 1.0)) @ "y"
        >>> ys = Map(point)(xs, shared(slope)) @ "ys"
    """

    @overload
    def __init__(self: Map[[Many[A]], R], kernel: Callable[[A], Call[R]]) -> None: ...
    @overload
    def __init__(self: Map[[Many[A], Many[B]], R], kernel: Callable[[A, B], Call[R]]) -> None: ...
    @overload
    def __init__(self: Map[[Many[A], Many[B], Many[C]], R], kernel: Callable[[A, B, C], Call[R]]) -> None: ...
    @overload
    def __init__(
        self: Map[[Many[A], Many[B], Many[C], Many[D]], R], kernel: Callable[[A, B, C, D], Call[R]]
    ) -> None: ...
    @overload
    def __init__(self: Map[..., R], kernel: Callable[..., Call[R]]) -> None: ...
    def __init__(self, kernel: Any, *, copies: int | None = None) -> None:
        """Make a generative function of `kernel`.

        Raises:
            KernelError: `kernel` is no generative function.
        """
        if not isinstance(kernel, GenerativeFunction):
            raise KernelError("Map", kernel, "be a generative function")
        name = f"Map({kernel.name})" if copies is None else f"repeat({kernel.name}, {copies})"
        super().__init__(name, _signature(kernel) if copies is None else kernel.signature)
        self.kernel: GenerativeFunction[..., R] = kernel
        self._copies = copies

    @property
    def parts(self) -> tuple[object, ...]:
        """The kernel, and the number of copies of a `repeat`."""
        return self.kernel, self._copies

    # The rooms.

    def do_simulate(self, call: Call[Any], /) -> MapTrace[R]:
        """Simulate every element."""
        arguments = self.arguments(call)
        every = range(arguments.length)
        entered = enter_all(
            self, arguments, every, rest([], every, EMPTY), lambda inner, _: (rooms.simulate(inner),)
        )
        return MapTrace(call, entered.elements, entered.score, arguments)

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Sequence[R]]:
        """Generate every element; the weight is the sum of the elements' weights."""
        arguments = self.arguments(call)
        entered = self._enter(arguments, range(arguments.length), constraints, rooms.generate)
        return Generated(MapTrace(call, entered.elements, entered.score, arguments), entered.weight)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> MapTrace[R]:
        """Assess every element."""
        arguments = self.arguments(call)
        entered = self._enter(
            arguments, range(arguments.length), choices, lambda inner, given: (rooms.assess(inner, given),)
        )
        return MapTrace(call, entered.elements, entered.score, arguments)

    def do_sample(self, call: Call[Any], /) -> Vector[R]:
        """Sample every element."""
        arguments = self.arguments(call)
        every = range(arguments.length)
        refusal = refusal_of(self.kernel, len(every))
        stacked = None if refusal else arguments.stacked(every)
        if stacked is not None:
            sampled = attempt(
                lambda *values: (rooms.sample(arguments.call_of(values)),),
                stacked.in_dims,
                len(every),
                *stacked.values,
            )
            if not isinstance(sampled, Refusal):
                return Vector.of_stacked(sampled[0], len(every))
            refusal = sampled
        calls = [arguments.call_of(arguments.values(i, in_rows=False)) for i in every]
        return Vector(at_element(self, i, rooms.sample, inner) for i, inner in enumerate(calls))

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[Sequence[R]]:
        """Update the elements that are constrained or whose arguments changed.

        weight = sum of their update weights + the generate weights of new elements - the scores of dropped
        ones
        """
        assert isinstance(trace, MapTrace)
        only = only_element(trace, argdiffs, constraints)
        if only is not None:
            return update_one(self, trace, call, argdiffs, constraints, only)
        edit = Edit(self, trace, call, argdiffs)
        edit.keep(constraint_groups(constraints, edit.kept), EMPTY, rooms.update)
        if len(edit.added):
            edit.add(self._enter(edit.arguments, edit.added, constraints, rooms.generate, edit.in_rows))
        if len(edit.dropped):
            edit.drop(edit.old.elements.score_of(edit.dropped))
        return edit.finish()

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[Sequence[R]]:
        """Regenerate the elements of which something is selected or whose arguments changed.

        weight = sum of their regenerate weights + the generate weights of new elements - the project(NONE)
        of dropped ones
        """
        edit = Edit(self, trace, call, argdiffs)
        edit.keep(selection_groups(selection, edit.kept), NONE, rooms.regenerate)
        if len(edit.added):
            edit.add(self._enter(edit.arguments, edit.added, EMPTY, rooms.generate, edit.in_rows))
        if len(edit.dropped):
            edit.drop(self._project(edit.old, rest([], edit.dropped, NONE)))
        return edit.finish()

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum the elements' projections."""
        assert isinstance(trace, MapTrace)
        every = range(len(trace.elements))
        if selection is ALL:
            return trace.score
        groups = selection_groups(selection, every)
        return self._project(trace, [*groups, *rest(groups, every, NONE)])

    # What its parts need.

    def arguments(self, call: Call[Any]) -> Arguments:
        """Return the arguments of a call, split; raises if they are not of one length."""
        return Arguments(self.name, self.kernel, call, self._copies)

    def why_one_by_one(self, arguments: Arguments) -> str:
        """Return why elements are not held in columns."""
        refusal = refusal_of(self.kernel, arguments.length)
        return refusal.reason if refusal else "the elements differ in structure"

    def _enter(
        self,
        arguments: Arguments,
        indices: range,
        constraints: ChoiceMap,
        enter: Enter,
        in_rows: bool = False,
    ) -> Entered:
        groups = constraint_groups(constraints, indices)
        groups += rest(groups, indices, EMPTY)
        return enter_all(self, arguments, indices, groups, enter, in_rows=in_rows)

    def _project(self, trace: MapTrace[Any], groups: Sequence[Group]) -> Tensor:
        terms: list[Tensor] = [trace.score.new_zeros(())]
        for group in groups:
            terms += self._project_group(trace.elements, group)
        return total(terms)

    def _project_group(self, elements: Elements[Any], group: Group) -> list[Tensor]:
        size = len(group.indices)
        if elements.is_batched and not refusal_of(self.kernel, size):
            batch = elements.batch(group.indices)
            if batch is not None:
                found = attempt(lambda run: rooms.project(run, group.of_all), [0], size, batch)
                if not isinstance(found, Refusal):
                    return [wide_sum(found)]
                remember(self.kernel, found)
        return [at_element(self, i, rooms.project, elements[i], group.of(i)) for i in group.indices]


def _signature(kernel: GenerativeFunction[..., Any]) -> inspect.Signature:
    """Return the kernel's parameters, whose defaults all elements share."""
    return inspect.Signature(
        [
            parameter.replace(
                annotation=inspect.Parameter.empty,
                default=Shared(parameter.default)
                if parameter.default is not inspect.Parameter.empty
                else inspect.Parameter.empty,
            )
            for parameter in kernel.signature.parameters.values()
        ]
    )
