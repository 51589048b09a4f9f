"""The rooms: the operations that authors of languages, combinators and distributions implement.

Users never call a room; they call the doors of `GenerativeFunction`, `Call` and `Trace`, which bind
arguments, convert constraints, fill in hints and judge what was not visited. Rooms are lenient, and
they call each other through the functions of this module, which look up `gen_edits` first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gen_core.plugins import plugins

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.call import Call
    from gen_core.choicemap import ChoiceMap
    from gen_core.diff import ArgDiffs
    from gen_core.results import ArgGradients, ChoiceGradients, Generated, Updated
    from gen_core.selection import Selection
    from gen_core.trace import Trace

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Rooms(Protocol[R_co]):
    """What a generative function does once its arguments are bound.

    `GenerativeFunction` derives all but `do_generate` and `do_project`; override what can be done
    faster, or what the derivation does not cover. `semantics.md` fixes every weight. No room judges
    unvisited constraints, and no room changes its trace, constraints or arguments.
    """

    def do_simulate(self, call: Call[Any], /) -> Trace[R_co]:
        """Return a trace with t, r ~ p(.; x)."""
        ...

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """Return a trace that agrees with the constraints that it visits, and its weight.

        weight = log p(t, r; x) - log q(t; constraints, x) - log q(r; x, t)
        """
        ...

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[R_co]:
        """Return the trace of exactly these choices, or raise MissingChoiceError; sample nothing."""
        ...

    def do_sample(self, call: Call[Any], /) -> R_co:
        """Return the value of a fresh run, unrecorded and unscored."""
        ...

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Move to new arguments and constraints, keeping every other choice.

        weight = t'.project(addresses of t and constraints) - t.score
        """
        ...

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Move to new arguments, drawing the selected choices again from q.

        weight = t'.project(addresses of t outside S) - t.project(addresses of t' outside S)
        """
        ...

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Return log p(t, r; x) - log q(t; t|S, x) - log q(r; x, t), shape `()`, float64."""
        ...

    def do_choice_gradients(
        self, trace: Trace[Any], selection: Selection, retgrad: object, /
    ) -> ChoiceGradients:
        """Return the gradients of score + <retval, retgrad> in the arguments and selected choices."""
        ...

    def do_accumulate_param_gradients(
        self, trace: Trace[Any], retgrad: object, scale_factor: float, /
    ) -> ArgGradients:
        """Add the scaled gradient of score + <retval, retgrad> to every parameter reached."""
        ...


def simulate(call: Call[R]) -> Trace[R]:
    """Enter the simulate room of a call's function."""
    gen_fn = call.gen_fn
    result: Trace[R] = room(type(gen_fn), "simulate")(gen_fn, call)
    return result


def generate(call: Call[R], constraints: ChoiceMap) -> Generated[R]:
    """Enter the generate room of a call's function."""
    gen_fn = call.gen_fn
    result: Generated[R] = room(type(gen_fn), "generate")(gen_fn, call, constraints)
    return result


def assess(call: Call[R], choices: ChoiceMap) -> Trace[R]:
    """Enter the assess room of a call's function."""
    gen_fn = call.gen_fn
    result: Trace[R] = room(type(gen_fn), "assess")(gen_fn, call, choices)
    return result


def sample(call: Call[R]) -> R:
    """Enter the sample room of a call's function."""
    gen_fn = call.gen_fn
    result: R = room(type(gen_fn), "sample")(gen_fn, call)
    return result


def update(trace: Trace[R], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap) -> Updated[R]:
    """Enter the update room of a trace's function."""
    gen_fn = trace.gen_fn
    result: Updated[R] = room(type(gen_fn), "update")(gen_fn, trace, call, argdiffs, constraints)
    return result


def regenerate(trace: Trace[R], call: Call[Any], argdiffs: ArgDiffs, selection: Selection) -> Updated[R]:
    """Enter the regenerate room of a trace's function."""
    gen_fn = trace.gen_fn
    result: Updated[R] = room(type(gen_fn), "regenerate")(gen_fn, trace, call, argdiffs, selection)
    return result


def project(trace: Trace[Any], selection: Selection) -> Tensor:
    """Enter the project room of a trace's function."""
    gen_fn = trace.gen_fn
    result: Tensor = room(type(gen_fn), "project")(gen_fn, trace, selection)
    return result


def choice_gradients(trace: Trace[Any], selection: Selection, retgrad: object) -> ChoiceGradients:
    """Enter the choice_gradients room of a trace's function."""
    gen_fn = trace.gen_fn
    result: ChoiceGradients = room(type(gen_fn), "choice_gradients")(gen_fn, trace, selection, retgrad)
    return result


def accumulate_param_gradients(trace: Trace[Any], retgrad: object, scale_factor: float) -> ArgGradients:
    """Enter the accumulate_param_gradients room of a trace's function."""
    gen_fn = trace.gen_fn
    implementation = room(type(gen_fn), "accumulate_param_gradients")
    result: ArgGradients = implementation(gen_fn, trace, retgrad, scale_factor)
    return result


def room(kind: type[Any], operation: str) -> Callable[..., Any]:
    """Return what implements `operation` for generative functions of type `kind`.

    The first along `kind`'s ancestry that has one: a plugin's edit, else the method `do_<operation>`.
    """
    found = _rooms.get((kind, operation))
    if found is None:
        found = _rooms[kind, operation] = _find(kind, operation)
    return found


def is_edited(kind: type[Any]) -> bool:
    """Return whether a plugin supplies or replaces any room of `kind`."""
    edited = _edited.get(kind)
    if edited is None:
        edited = _edited[kind] = any(
            ancestor in kind.__mro__
            and f"do_{operation}" in Rooms.__dict__
            and room(kind, operation) is implementation  # else a method of a more specific class hides it
            for (ancestor, operation), implementation in plugins.edits.items()
        )
    return edited


def _find(kind: type[Any], operation: str) -> Callable[..., Any]:
    method = f"do_{operation}"
    for ancestor in kind.__mro__:
        found = plugins.edits.get((ancestor, operation)) or ancestor.__dict__.get(method)
        if found is not None:
            implementation: Callable[..., Any] = found
            return implementation
    raise AttributeError(f"{kind.__name__} has no room {method}.")


_rooms: dict[tuple[type[Any], str], Callable[..., Any]] = {}
_edited: dict[type[Any], bool] = {}
plugins.on_change(_rooms.clear)
plugins.on_change(_edited.clear)
