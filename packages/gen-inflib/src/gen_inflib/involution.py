"""Metropolis-Hastings by an involution: a proposal, and a map that says where it leads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar, final

import torch
from torch import Tensor

from gen_core import ChoiceMap, Choices, Selection, Trace, choicemap
from gen_core.choicemap_build import from_paths
from gen_core.choicemap_values import same_value
from gen_core.judge import judge_selection
from gen_core.readable import values_are_readable
from gen_inflib.accept import accept_or_stay
from gen_inflib.errors import NotANumberError
from gen_inflib.kernel_errors import InvolutionError
from gen_inflib.metropolis_hastings import MetropolisHastingsInfo, call_of, way_back
from gen_inflib.points import check_structure
from gen_inflib.proposal import Proposal

R = TypeVar("R")


class Involuted(NamedTuple):
    """Where an involution leads."""

    trace: Any
    """The new trace, made by edits of the old one."""
    choices: Any
    """What the proposal must choose at the new trace for the way back."""
    log_weight: Tensor
    """log p(new trace) - log p(old trace) + log |det of the Jacobian|, shape `()`."""


Involution: TypeAlias = Callable[[Trace[R], ChoiceMap, Any], tuple[Trace[R], Choices, Tensor]]
"""Maps a trace, the proposal's choices and its return value to the fields of `Involuted`."""


def involutive_metropolis_hastings(
    trace: Trace[R], proposal: Proposal[R], involution: Involution[R], *, check: bool = False
) -> tuple[Trace[R], MetropolisHastingsInfo]:
    """Take one step that leaves the distribution proportional to exp(score) as it is.

    Choices u are drawn from the proposal q at the trace t, and an involution maps (t, u) to (t', u'):

        log ratio = log p(t') - log p(t) + log |det d(t', u') / d(t, u)| + log q(u'; t') - log q(u; t),

    where the first three terms are the weight that the involution returns: those of `trace.update`, and of
    the map of continuous values, if it is no mere exchange of values.

    Args:
        trace: The current trace.
        proposal: A function from the trace to a call of a generative function.
        involution: The map; applied twice it leads back. See `Involution`, and `involution_of` for maps of
            values whose Jacobian is found by autograd.
        check: Whether to apply it twice, and to raise unless that leads back, where values can be read.

    Returns:
        The new trace, or the old one where the proposed trace was rejected, and what happened.

    Raises:
        InvolutionError: With `check`, the map is no involution; says where it does not lead back.
        NotANumberError: The log acceptance ratio is NaN, where that can be read.
        MissingChoiceError: The way back makes a choice that the involution does not give.
        ProposalError: `proposal` is no function from a trace to a call.

    Source: Cusumano-Towner, Lew and Mansinghka, Automating involutive MCMC using probabilistic and
    differentiable programming (2020); Green, Biometrika 82 (1995).
    """
    with torch.no_grad():
        choices, forward, retval = call_of(proposal, trace).propose()
        proposed, given, log_weight = involution(trace, choices, retval)
        backward_choices = choicemap(given)
        if values_are_readable() and log_weight == -math.inf:
            log_ratio = log_weight  # impossible, whatever the way back
        else:
            backward = call_of(proposal, proposed).assess
            back = way_back(lambda: backward(backward_choices), backward_choices, proposal)
            log_ratio = log_weight + back.score - forward
            log_ratio = torch.where(log_weight == -math.inf, log_weight, log_ratio)
            if check and values_are_readable():
                again = involution(proposed, backward_choices, back.retval)
                _check(trace, choices, log_weight, Involuted(*again))
        if values_are_readable() and forward == -math.inf:
            raise NotANumberError("The log density of what the proposal drew", trace.gen_fn.name)
        log_ratio = torch.where(forward == -math.inf, math.nan, log_ratio)
        moved, accepted = accept_or_stay(log_ratio, proposed, trace)
    is_nan = False if isinstance(accepted, bool) else log_ratio.isnan()
    return moved, MetropolisHastingsInfo(accepted, log_ratio, is_nan)


def involution_of(
    function: Callable[[ChoiceMap, ChoiceMap], tuple[Choices, Choices]],
    selection: Selection,
    *,
    log_abs_det: Callable[[ChoiceMap, ChoiceMap], Tensor] | None = None,
) -> Involution[Any]:
    """Return the involution that maps values of choices: of the model's, and of the proposal's.

    Args:
        function: Maps the selected choices of the model and all of the proposal to new values of the same,
            at the same addresses; applied twice it returns what it was given.
        selection: The choices of the model that it maps.
        log_abs_det: Returns log |det| of its Jacobian in the floating point values, shape `()`; by default
            autograd finds it.

    Raises:
        InvolutionError: When it is applied: the values in and out are not of one dimension.
        UnknownSelectionError: The selection names an address that does not exist.
        StructureChangedError: Other values make other choices.

    >>> swap = involution_of(lambda t, u: ({"x": u["y"]}, {"y": t["x"]}), select("x"))
    """
    return _MapOfValues(function, selection, log_abs_det)


@final
@dataclass(frozen=True)
class _MapOfValues:
    function: Callable[[ChoiceMap, ChoiceMap], tuple[Choices, Choices]]
    selection: Selection
    log_abs_det: Callable[[ChoiceMap, ChoiceMap], Tensor] | None

    @property
    def __name__(self) -> str:
        return getattr(self.function, "__name__", "involution")

    def __call__(self, trace: Trace[Any], choices: ChoiceMap, retval: object) -> Involuted:
        """Map the trace and the proposal's choices."""
        judge_selection(self.selection, trace)
        ours = trace.choices.filter(self.selection)
        new, back = map(choicemap, self.function(ours, choices))
        updated, weight, _, _ = trace.update(new)
        check_structure(trace, updated)
        if self.log_abs_det is None:
            stretch = self._log_abs_det(ours, choices)
        else:
            stretch = torch.as_tensor(self.log_abs_det(ours, choices))
        return Involuted(updated, back, weight + stretch.to(weight))

    def _log_abs_det(self, ours: ChoiceMap, theirs: ChoiceMap) -> Tensor:
        """Return log |det| of the Jacobian in the floating point values; others are constants."""
        floats = [_floats(ours), _floats(theirs)]
        sizes = [sum(value.numel() for _, value in part) for part in floats]
        flat = _flattened(floats)

        def mapped(vector: Tensor) -> Tensor:
            given = [
                choices.override(_like(part, piece))
                for choices, part, piece in zip((ours, theirs), floats, vector.split(sizes), strict=True)
            ]
            return _flattened([_floats(choicemap(part)) for part in self.function(*given)])

        if not sum(sizes):
            return flat.new_zeros(())
        jacobian: Tensor = torch.func.jacfwd(mapped)(flat)
        if jacobian.shape[0] != jacobian.shape[1]:
            outputs, inputs = jacobian.shape
            raise InvolutionError(
                f"{self.__name__} maps {inputs} real numbers to {outputs}. An involution returns values for "
                f"the selected choices of the model and for all of the proposal."
            )
        stretch: Tensor = torch.linalg.slogdet(jacobian).logabsdet
        return stretch


def _floats(choices: ChoiceMap) -> list[tuple[Any, Tensor]]:
    leaves = sorted(choices.leaves(), key=lambda leaf: [(isinstance(key, str), key) for key in leaf[0]])
    return [(path, value) for path, value in leaves if _is_float(value)]


def _is_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _flattened(parts: list[list[tuple[Any, Tensor]]]) -> Tensor:
    pieces = [value.reshape(-1).double() for part in parts for _, value in part]
    return torch.cat(pieces) if pieces else torch.zeros(0, dtype=torch.float64)


def _like(part: list[tuple[Any, Tensor]], vector: Tensor) -> ChoiceMap:
    pieces = vector.split([value.numel() for _, value in part])
    values = zip(part, pieces, strict=True)
    return from_paths([(path, piece.reshape(value.shape).to(value.dtype)) for (path, value), piece in values])


def _check(trace: Trace[Any], choices: ChoiceMap, log_weight: Tensor, again: Involuted) -> None:
    for what, before, after in (
        ("the trace", trace.choices, again.trace.choices),
        ("the proposal's choices", choices, choicemap(again.choices)),
    ):
        wrong = _difference(before, after)
        if wrong is not None:
            raise InvolutionError(
                f"Applied twice, the involution does not lead back to {what}: {wrong}. It must be its own "
                f"inverse."
            )
    if not math.isclose(float(log_weight), -float(again.log_weight), rel_tol=1e-3, abs_tol=1e-3):
        there, back = float(log_weight), float(again.log_weight)
        raise InvolutionError(
            f"The involution's log weight is {there:.6g} there and {back:.6g} on the way back, which must be "
            f"the negative. Its Jacobian may be wrong."
        )


def _difference(before: ChoiceMap, after: ChoiceMap) -> str | None:
    missing = set(before.paths()) ^ set(after.paths())
    if missing:
        return f"the choice at {min(missing, key=repr)!r} is only in one of them"
    for path, value in before.leaves():
        if not _close(value, after[path]):
            return f"at {path!r}, {value!r} became {after[path]!r}"
    return None


def _close(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and one.is_floating_point():
        return torch.allclose(one, torch.as_tensor(other).to(one), rtol=1e-3, atol=1e-4)
    return same_value(one, other)
