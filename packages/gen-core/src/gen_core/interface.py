"""Generative functions: the doors that users call, over the rooms that authors implement.

To add a kind of generative function, subclass `GenerativeFunction` and implement `do_generate` and
`do_project`, and subclass `Trace` (`gen_core/trace.py`) and implement `choices` and `find`. Everything
else is derived; override the rooms that can be done faster. A user who imports the result needs no
registration; a combinator that should be found by name is returned from the `gen_combinators` hook
(`gen_core/hookspecs.py`). `gen_core.testing.check_laws` says whether it is right.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, final

from gen_core import derived, gradients, rooms
from gen_core.arguments import Binder
from gen_core.call import Call
from gen_core.captured import Captured, Link
from gen_core.choicemap_build import Choices
from gen_core.parameters import Parameters
from gen_core.plugin_errors import MissingPackageError
from gen_core.plugins import plugins
from gen_core.results import ArgGradients, Assessed, ChoiceGradients, Generated, Proposed, Updated
from gen_core.rooms import Rooms

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gen_core.choicemap import ChoiceMap
    from gen_core.diff import ArgDiffs
    from gen_core.selection import Selection
    from gen_core.trace import Trace

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class GenerativeFunction(Rooms[R_co], Generic[P, R_co]):
    """A function with addressed random choices: a model, a proposal, a distribution.

    Calling it runs nothing: it gives a `Call`, which a model visits with `call @ address`.
    """

    is_generative_function = True

    def __init__(self, name: str, signature: inspect.Signature) -> None:
        """Set the name that messages use and the signature that calls are bound to."""
        self.name = name
        self.signature = signature
        self.binder = Binder(signature)
        self.params = Parameters(name)
        """The trainable parameters made by `param`, by name."""

    @property
    def reference(self) -> str | None:
        """`module:qualified.name` under which an import finds this function, None if nothing does."""
        return None

    # The doors.

    @final
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R_co]:
        """Bind arguments: `call @ address` in a model, `call.simulate()` and so on elsewhere."""
        if not kwargs and len(args) == self.binder.arity:
            return Call(self, args)
        try:
            return Call(self, *self.binder.bind(args, kwargs))
        except TypeError as error:
            raise TypeError(f"{self.name}{self.signature}: {error}") from None

    @final
    def simulate(self, *args: P.args, **kwargs: P.kwargs) -> Trace[R_co]:
        """Run forward: see `Call.simulate`."""
        return self(*args, **kwargs).simulate()

    @final
    def generate(self, constraints: Choices, /, *args: P.args, **kwargs: P.kwargs) -> Generated[R_co]:
        """Run with some choices given: see `Call.generate` for the weight."""
        return self(*args, **kwargs).generate(constraints)

    @final
    def assess(self, choices: Choices, /, *args: P.args, **kwargs: P.kwargs) -> Assessed[R_co]:
        """Score exactly these choices: see `Call.assess`."""
        return self(*args, **kwargs).assess(choices)

    @final
    def propose(self, *args: P.args, **kwargs: P.kwargs) -> Proposed[R_co]:
        """Run forward, for the choices: see `Call.propose`."""
        return self(*args, **kwargs).propose()

    @final
    def get_torch_nn_module(self) -> nn.Module:
        """Return this function as an `nn.Module`, for optimizers, `state_dict`, `.to()` and `.train()`.

        It has the modules that runs have called or that the function holds, the parameters of `param`, and
        those of callees under their own prefixes. It is the same object every time, and gains what later
        runs reach. Its `forward(constraints, *args, **kwargs)` returns the generate weight.

        Raises:
            MissingPackageError: gen-torch is not installed.
        """
        # No method has this name: gen-torch supplies it for every type, through `gen_edits`.
        try:
            implementation = rooms.room(type(self), "torch_nn_module")
        except AttributeError:
            raise MissingPackageError(
                f"{self.name}.get_torch_nn_module()", "gen-torch", plugins.broken
            ) from None
        module: nn.Module = implementation(self)
        return module

    # What plugins look at.

    def captured(self) -> Iterable[Captured]:
        """Return what this function reaches from outside: where its modules and callees are found."""
        return [(Link(name.lstrip("_"), value),) for name, value in vars(self).items()]

    # The rooms.

    def do_simulate(self, call: Call[Any], /) -> Trace[R_co]:
        """Generate without constraints."""
        return derived.simulate(call)

    @abstractmethod
    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R_co]:
        """See `Rooms.do_generate`."""

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[R_co]:
        """Generate with every choice constrained, refusing to sample."""
        return derived.assess(call, choices)

    def do_sample(self, call: Call[Any], /) -> R_co:
        """Simulate, and keep the return value."""
        value: R_co = derived.sample(call)
        return value

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R_co]:
        """Generate under the old choices overridden by the constraints."""
        return derived.update(trace, call, constraints)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R_co]:
        """Generate under the old choices outside the selection."""
        return derived.regenerate(trace, call, selection)

    @abstractmethod
    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """See `Rooms.do_project`."""

    def do_choice_gradients(
        self, trace: Trace[Any], selection: Selection, retgrad: object, /
    ) -> ChoiceGradients:
        """Differentiate the assess room."""
        return gradients.choice_gradients(trace, selection, retgrad)

    def do_accumulate_param_gradients(
        self, trace: Trace[Any], retgrad: object, scale_factor: float, /
    ) -> ArgGradients:
        """Differentiate the assess room."""
        return gradients.accumulate_param_gradients(trace, retgrad, scale_factor)

    def __repr__(self) -> str:
        return f"<generative function {self.name}{self.signature}>"
