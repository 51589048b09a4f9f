"""Tempered models: the likelihood of some choices, raised to a power between 0 and 1."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any, TypeVar, final

import torch

from gen_core import (
    NONE,
    Call,
    Generated,
    GenerativeFunction,
    Trace,
    Updated,
    register_trace,
    rooms,
)
from gen_core.arguments import NO_KWARGS

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, ChoiceMap, Path, Selection

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@final
class Tempered(GenerativeFunction[..., R]):
    """A model whose score counts the choices at some addresses with a factor, the inverse temperature.

    Its arguments are `(power, *arguments of the model)`, and its choices are the model's. With L the log
    density of the choices at `observed`, `project(observed) - project(NONE)` of the model,

        score = score of the model + (power - 1) L.

    So it moves from prior (power 0) to posterior (power 1). Where L is -inf the score is -inf at every
    power, so that at power 0 it is the prior of what could have led to the observations. The density is not
    normalised, and the internal
    proposal is the model's: weights correct for the power, and `simulate` does not.
    """

    def __init__(self, model: GenerativeFunction[..., R], observed: Selection) -> None:
        """Temper `model` at the addresses `observed`."""
        power = inspect.Parameter("power", inspect.Parameter.POSITIONAL_ONLY)
        parameters = [power, *model.signature.parameters.values()]
        super().__init__(f"tempered({model.name})", inspect.Signature(parameters))
        self.model = model
        self.observed = observed

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[R]:
        """Weight = the model's + (power - 1) L."""
        inner, weight = rooms.generate(self._inner(call), constraints)
        trace = self._trace(call, inner)
        return Generated(trace, weight + trace.excess)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> TemperedTrace[R]:
        """Assess the model."""
        return self._trace(call, rooms.assess(self._inner(call), choices))

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[R]:
        """Weight = the model's + (power' - 1) L' - (power - 1) L."""
        old = _own(trace)
        edited = rooms.update(old.inner, self._inner(call), argdiffs[1:], constraints)
        return self._updated(old, call, edited)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[R]:
        """Weight = the model's + (power' - 1) L' - (power - 1) L."""
        old = _own(trace)
        edited = rooms.regenerate(old.inner, self._inner(call), argdiffs[1:], selection)
        return self._updated(old, call, edited)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Return the model's projection + (power - 1) L: the internal proposal knows no power."""
        own = _own(trace)
        return rooms.project(own.inner, selection) + own.excess

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Tempered) and self.model == other.model and self.observed == other.observed
        return self is other or same

    def __hash__(self) -> int:
        return hash((Tempered, self.model))

    def _inner(self, call: Call[Any]) -> Call[R]:
        return Call(self.model, call.args[1:], call.kwargs or NO_KWARGS)

    def _trace(self, call: Call[Any], inner: Trace[R]) -> TemperedTrace[R]:
        likelihood = rooms.project(inner, self.observed) - rooms.project(inner, NONE)
        return TemperedTrace(call, inner, likelihood)

    def _updated(self, old: TemperedTrace[Any], call: Call[Any], edited: Updated[R]) -> Updated[R]:
        new = self._trace(call, edited.trace)
        return Updated(new, edited.weight + new.excess - old.excess, edited.retdiff, edited.discard)


@final
class TemperedTrace(Trace[R_co]):
    """The trace of a tempered model."""

    __slots__ = ("_inner", "_likelihood")

    def __init__(self, call: Call[Any], inner: Trace[R_co], likelihood: Tensor) -> None:
        """Record a run of the model, and the log density of its observed choices."""
        excess = _excess(call.args[0], likelihood)
        super().__init__(call, inner.retval, inner.score + excess)
        self._inner = inner
        self._likelihood = likelihood

    @property
    def inner(self) -> Trace[R_co]:
        """The trace of the model itself."""
        return self._inner

    @property
    def likelihood(self) -> Tensor:
        """L, the log density of the observed choices, shape `()`, in nats."""
        return self._likelihood

    @property
    def excess(self) -> Tensor:
        """(power - 1) L, shape `()`; 0 where L is -inf, which the model's own score has already."""
        return _excess(self.args[0], self._likelihood)

    @property
    def choices(self) -> ChoiceMap:
        """The model's choices."""
        return self._inner.choices

    def find(self, path: Path) -> Trace[Any] | None:
        """Return what the model has at `path`."""
        return self._inner.find(path) if path else self

    def visited(self, path: Path) -> bool:
        """Return whether the model used a constraint at `path`."""
        return self._inner.visited(path)

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the constraints that the model did not use."""
        return self._inner.unvisited(constraints)


def _excess(power: Tensor | float, likelihood: Tensor) -> Tensor:
    return torch.where(likelihood == -math.inf, 0.0, (power - 1) * likelihood)


def _own(trace: Trace[Any]) -> TemperedTrace[Any]:
    assert isinstance(trace, TemperedTrace)
    return trace


register_trace(TemperedTrace, lambda t: (t.call, t.inner, t.likelihood), TemperedTrace)
