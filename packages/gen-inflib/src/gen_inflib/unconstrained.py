"""The selected choices of a trace as one vector of real numbers, and the log density there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, final

import torch
from torch import Tensor
from torch.distributions.transforms import ComposeTransform, Transform

from gen_core import Call, ChoiceMap, ParameterError, Path, Selection, Trace, rooms
from gen_core.address import show
from gen_core.choicemap_build import from_paths
from gen_core.given import GivenBy
from gen_core.judge import judge_selection
from gen_core.readable import transforms_are_active, values_are_readable
from gen_core.selection_build import as_selection
from gen_core.totals import total
from gen_core.vmap import VmapTrace
from gen_inflib.bijections import bijection, holds_tensors
from gen_inflib.position_errors import ImpossibleStartError, NoPositionError

R = TypeVar("R")


class Scored(NamedTuple):
    """A log density, shape `()`, and its gradient in the position, shape `(n,)`; without graphs."""

    log_density: Tensor
    gradient: Tensor


class Known(NamedTuple):
    """What is known at a position without running the model."""

    choices: ChoiceMap
    score: Tensor
    """The log density of the choices, shape `()`."""


@final
class Unconstrained(Generic[R]):
    """A view of a trace from the real line: what gradient-based algorithms move.

    Each selected choice is the image of real numbers under a bijection onto its declared support, and

        log_density(position) = score(trace_at(position)) + log |det d choices / d position|.

    Supports that depend on other choices, as that of `uniform(0, x)`, are taken at those choices' values at
    the same position. The order is that of `ChoiceMap.to_vector`. Untraced randomness is drawn again
    whenever the density is evaluated, so gradient-based algorithms need models without it.
    """

    def __init__(self, trace: Trace[R], selection: Selection) -> None:
        """Look at a trace.

        Args:
            trace: Its other choices stay as they are.
            selection: The choices to move, all of them continuous.

        Raises:
            NoPositionError: The selection has no choices, or some that are discrete.
            NoBijectionError: The support of a choice has no bijection from the real line.
            UnknownSelectionError: The selection names an address that does not exist.
        """
        selected = as_selection(selection)
        judge_selection(selected, trace)
        moved = trace.choices.filter(selected)
        order = sorted(moved.paths(), key=lambda path: [(isinstance(key, str), key) for key in path])
        self.trace = trace
        self.fixed = trace.choices.filter(~selected)
        self._sites: list[_Site] = []
        for path in order:
            self._sites.append(_site(trace, path))
        if not self._sites:
            raise NoPositionError.empty(trace.gen_fn.name, selected)

    @property
    def position(self) -> Tensor:
        """Where the trace is, shape `(n,)`, in the widest dtype of the choices."""
        pieces = [site.onto.inv(self.trace[site.path]).reshape(-1) for site in self._sites]
        dtype = pieces[0].dtype
        for piece in pieces[1:]:
            dtype = torch.promote_types(dtype, piece.dtype)
        return torch.cat([piece.to(dtype) for piece in pieces]).detach()

    @property
    def size(self) -> int:
        """The number of real numbers, n."""
        return sum(site.size for site in self._sites)

    def log_density(self, position: Tensor, *, jacobian: bool = True) -> Tensor:
        """Return the log density at `position`, shape `()`, differentiably.

        Without the Jacobian it is that of the choices themselves: the score.
        """
        return self.traced(position, self.fixed, jacobian=jacobian)[1]

    def traced(self, position: Tensor, fixed: ChoiceMap, *, jacobian: bool = True) -> tuple[Trace[R], Tensor]:
        """Return the trace at `position`, the other choices being `fixed`, and the log density there."""
        pieces = self._pieces(position)
        trace = self._assess(pieces, fixed)
        if not jacobian:
            return trace, total([trace.score])
        terms = [
            site.log_jacobian(trace, piece)
            for site, piece in zip(self._sites, pieces, strict=True)
            if not site.is_identity
        ]
        return trace, total([trace.score, *terms])

    def log_jacobian(self, position: Tensor) -> Tensor:
        """Return log |det d choices / d position|, shape `()`."""
        return self.log_density(position) - self.trace_at(position).score

    def scored(self, position: Tensor) -> Scored:
        """Return the log density and its gradient, both without graphs.

        A position at which a parameter of the model is not as it must be has the density NaN.
        """
        return scored(self.log_density, position)

    def trace_at(self, position: Tensor) -> Trace[R]:
        """Return the trace with the choices at `position`."""
        return self.trace_of(position, self.fixed)

    def trace_of(self, position: Tensor, fixed: ChoiceMap) -> Trace[R]:
        """Return the trace with the choices at `position`, and the others as `fixed` has them."""
        with torch.no_grad():
            return self._assess(self._pieces(position.detach()), fixed)

    def known_at(self, position: Tensor, log_density: Tensor) -> Known | None:
        """Return choices and score where the log density is known; None if supports depend on choices."""
        if any(site.depends for site in self._sites):
            return None
        pieces = self._pieces(position)
        terms = [
            -site.stretch(site.onto, piece)
            for site, piece in zip(self._sites, pieces, strict=True)
            if not site.is_identity
        ]
        return Known(self._choices(pieces, self.fixed), total([log_density, *terms]))

    def refreshed(self, trace: Trace[R]) -> Trace[R]:
        """Return the trace itself: nothing is summed over. See `Marginalised.refreshed`."""
        return trace

    def start(self) -> tuple[Tensor, Scored]:
        """Return the position of the trace, with its density and gradient.

        Raises:
            ImpossibleStartError: The log density is not finite, where that can be read.
        """
        position = self.position
        here = self.scored(position)
        if values_are_readable() and not math.isfinite(float(here.log_density)):
            raise ImpossibleStartError(
                self.trace.gen_fn.name, float(here.log_density), float(self.trace.score)
            )
        return position, here

    def _pieces(self, position: Tensor) -> list[Tensor]:
        split = position.split([site.size for site in self._sites])
        return [piece.reshape(site.shape) for piece, site in zip(split, self._sites, strict=True)]

    def _assess(self, pieces: list[Tensor], fixed: ChoiceMap) -> Trace[R]:
        return rooms.assess(self.trace.call, self._choices(pieces, fixed))

    def _choices(self, pieces: list[Tensor], fixed: ChoiceMap) -> ChoiceMap:
        given = [(site.path, site.given(piece)) for site, piece in zip(self._sites, pieces, strict=True)]
        return fixed.override(from_paths(given))


def scored(log_density: Callable[[Tensor], Tensor], position: Tensor) -> Scored:
    """Return a log density and its gradient at a position, without graphs."""
    try:
        if transforms_are_active():
            # Autograd has no leaves under vmap.
            gradient, value = torch.func.grad_and_value(log_density)(position)
            return Scored(value.detach(), gradient)
        with torch.enable_grad():
            at = position.detach().requires_grad_()
            value = log_density(at)
            if not value.requires_grad:
                return Scored(value, torch.zeros_like(position))
            (gradient,) = torch.autograd.grad(value, at, allow_unused=True, materialize_grads=True)
        return Scored(value.detach(), gradient)
    except ParameterError:
        # Far out, scales overflow. Where parameters are not checked, the density is NaN by itself.
        undefined = torch.full((), math.nan, dtype=torch.float64, device=position.device)
        return Scored(undefined, torch.zeros_like(position))


@final
@dataclass(frozen=True)
class _Site:
    """One choice and its part of the position."""

    path: Path
    onto: Transform
    """The bijection, at the trace that is looked at."""
    shape: torch.Size
    """The shape of the real numbers."""
    dtype: torch.dtype
    depends: bool
    """Whether the support may depend on other choices."""

    @property
    def size(self) -> int:
        return self.shape.numel()

    @property
    def is_identity(self) -> bool:
        return isinstance(self.onto, ComposeTransform) and not self.onto.parts

    def given(self, piece: Tensor) -> object:
        """Return the choice's value, or what becomes it when the choice is visited."""
        if self.is_identity:
            return piece.to(self.dtype)
        return _OnSupport(piece, self.dtype) if self.depends else self.onto(piece).to(self.dtype)

    def log_jacobian(self, trace: Trace[Any], piece: Tensor) -> Tensor:
        """Return log |det d value / d piece|, shape `()`."""
        return self.stretch(_onto(trace.subtrace(self.path).call) if self.depends else self.onto, piece)

    @staticmethod
    def stretch(onto: Transform, piece: Tensor) -> Tensor:
        """Return log |det d onto(piece) / d piece|, shape `()`."""
        image: Tensor = onto(piece)
        stretch: Tensor = onto.log_abs_det_jacobian(piece, image)
        return stretch.sum()


@final
@dataclass(frozen=True)
class _OnSupport(GivenBy):
    """The point of a choice's support at some real numbers."""

    piece: Tensor
    dtype: torch.dtype

    def value(self, call: Call[Any]) -> Tensor:
        """Return the point of the support that the choice has with these arguments."""
        point: Tensor = _onto(call)(self.piece)
        return point.to(self.dtype)


def _onto(call: Call[Any]) -> Transform:
    distribution: Any = call.gen_fn
    return bijection(distribution.support(*call.args, **call.kwargs))


def _site(trace: Trace[Any], path: Path) -> _Site:
    choice = trace.subtrace(path)
    value, distribution = choice.retval, choice.gen_fn
    is_continuous = isinstance(value, Tensor) and value.is_floating_point()
    if not is_continuous or getattr(distribution, "is_discrete", False):
        raise NoPositionError(trace.gen_fn.name, f"The choice at {show(path)}, from {distribution.name},")
    support: Any = distribution.support(*choice.call.args, **choice.call.kwargs)  # type: ignore[attr-defined]
    onto = bijection(support)
    has_tensors = any(isinstance(argument, Tensor) for argument in choice.call.values())
    depends = has_tensors and holds_tensors(support)
    if depends:
        _refuse_uneven(trace, path, choice)
    shape = torch.Size(onto.inverse_shape(value.shape))
    return _Site(path, onto, shape, value.dtype, depends)


def _refuse_uneven(trace: Trace[Any], path: Path, choice: Trace[Any]) -> None:
    """Refuse bounds of a batched callee that would be broadcast along the wrong dimension."""
    batched = any(isinstance(trace.find(path[:length]), VmapTrace) for length in range(len(path)))
    dims = [value.dim() for value in choice.call.values() if isinstance(value, Tensor)]
    if batched and any(0 < dim < choice.retval.dim() for dim in dims):
        raise NoPositionError(
            trace.gen_fn.name,
            f"The choice at {show(path)}, whose support in a batch has fewer dimensions than its value,",
        )
