"""Particle Gibbs: draw a whole sequence of latent choices again, by conditional sequential Monte Carlo."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import NONE, Address, ChoiceMap, Selection, Trace, batch, rooms
from gen_core.choicemap_build import graft
from gen_core.judge import judge_selection
from gen_core.readable import values_are_readable
from gen_core.selection_build import as_selection
from gen_core.sequence import SequenceFunction
from gen_core.structure import put_together, take_apart
from gen_distributions import categorical
from gen_inflib.accept import accept_or_stay
from gen_inflib.counts import check_count
from gen_inflib.errors import UndefinedWeightError
from gen_inflib.position_errors import ImpossibleStartError
from gen_inflib.resampling import multinomial
from gen_inflib.sequential_errors import SequenceError

R = TypeVar("R")


class ParticleGibbsInfo(NamedTuple):
    """What happened in one step."""

    accepted: bool | Tensor
    """Whether the new sequence was accepted: always, where nothing outside of the sequence depends on it."""
    log_acceptance_ratio: Tensor
    """How much more probable the rest of the model became, shape `()`, in nats."""
    share_moved: Tensor
    """The share of the steps of the sequence whose choices were drawn anew, shape `()`."""
    is_nan: bool | Tensor
    """Whether a weight was NaN, so that the step was rejected; an error where values can be read."""


def particle_gibbs(
    trace: Trace[R], observed: Selection, *, num_particles: int, address: Address = ()
) -> tuple[Trace[R], ParticleGibbsInfo]:
    """Draw the choices of a sequence that are not observed, leaving the posterior as it is.

    One particle keeps the old sequence, while the others are drawn, weighed and resampled around it; then one
    is picked in proportion to the final weights, and its line of ancestors is the new sequence z'. This has
    detailed balance with respect to the posterior of the sequence alone. So where the rest of the model
    depends on the sequence, z' is a proposal, accepted with probability

        min(1, p(rest | z') / p(rest | z)).

    Args:
        trace: A trace of a sequence function such as `Unfold`, or one that has it at `address`.
        observed: The addresses below `address` that stay, such as `select((ANY, "y"))`.
        num_particles: How many, the old sequence included; at least 2. With too few, early steps rarely move.
        address: Where the sequence is.

    Returns:
        The new trace, and what happened.

    Raises:
        SequenceError: There is no sequence function at `address`, or `observed` selects nothing of it.
        CountError: There are no steps, or fewer than two particles.
        UnknownSelectionError: `observed` names an address that does not exist.
        ImpossibleStartError: The trace is impossible, where that can be read.
        UndefinedWeightError: The weight of a particle is NaN or +inf, where that can be read.
        NotBatchableError: The kernel of the sequence cannot be batched.

    Source: Andrieu, Doucet and Holenstein, Particle Markov chain Monte Carlo methods, JRSS B 72 (2010); for
        its detailed balance, Chopin and Singh, On particle Gibbs sampling, Bernoulli 21 (2015).
    """
    check_count("num_particles", num_particles, least=2)
    inner = trace.subtrace(address) if address != () else trace
    if not isinstance(inner.gen_fn, SequenceFunction):
        raise SequenceError(inner.gen_fn.name)
    stays = as_selection(observed)
    _check(trace, inner, stays)
    with torch.no_grad():
        choices, share_moved, is_nan = _Conditional(inner, stays, num_particles).run()
        if address == ():
            proposed, log_ratio = trace.update(choices).trace, torch.zeros_like(trace.score)
        else:
            proposed, weight = trace.update(graft([(_path(address), choices)]))[:2]
            new_inner = rooms.assess(inner.call, choices.merge(inner.choices.filter(stays)))
            log_ratio = weight - (new_inner.score - inner.score)
        log_ratio = torch.where(is_nan, math.nan, log_ratio)
        moved, accepted = accept_or_stay(log_ratio, proposed, trace)
    is_undefined = False if isinstance(accepted, bool) else log_ratio.isnan()
    share = torch.where(torch.as_tensor(accepted, device=share_moved.device), share_moved, 0.0)
    return moved, ParticleGibbsInfo(accepted, log_ratio, share, is_undefined)


def _check(trace: Trace[Any], inner: Trace[Any], observed: Selection) -> None:
    function: Any = inner.gen_fn
    check_count("number of steps", function.length(inner.call))
    judge_selection(observed, inner)
    if observed is not NONE and inner.choices.filter(observed).is_empty:
        raise SequenceError.without(observed, function.name)
    score = trace.score
    if values_are_readable() and not math.isfinite(float(score)):
        raise ImpossibleStartError(trace.gen_fn.name, float(score), float(score))


class _Drawn(NamedTuple):
    choices: ChoiceMap
    """The new choices that are not observed."""
    share_moved: Tensor
    is_nan: Tensor


class _Past(NamedTuple):
    """A step of all particles, of which 0 is the old sequence."""

    choices: Any
    """Every tensor has the particles as first dimension."""
    ancestors: Tensor
    """Where each was before the step, shape `(num_particles,)`."""


class _Conditional:
    """Conditional sequential Monte Carlo around the steps of a trace: particle 0 is the old sequence."""

    def __init__(self, trace: Trace[Any], observed: Selection, num_particles: int) -> None:
        function: Any = trace.gen_fn
        self.call = trace.call
        self.function = function
        self.trace = trace
        self.observed = observed
        self.num_free = num_particles - 1
        self.length: int = function.length(trace.call)

    def run(self) -> _Drawn:
        """Draw the sequence."""
        device = self.trace.score.device
        own = torch.zeros(1, dtype=torch.int64, device=device)
        is_nan = torch.zeros((), dtype=torch.bool, device=device)
        carry: Any = None
        log_weights = torch.zeros(self.num_free + 1, dtype=torch.float64, device=device)
        pasts: list[_Past] = []
        for step in range(self.length):
            ancestors = torch.cat([own, multinomial(log_weights, self.num_free) if step else own[:0]])
            drawn_carry, free_weights, choices = self._extended(step, carry, ancestors[1:])
            old = self.trace.subtrace(step)
            own_weight = rooms.project(old, self.observed.child(step))
            log_weights = torch.cat([own_weight.reshape(1).to(free_weights), free_weights])
            is_bad = self._judged(step, log_weights)
            is_nan = is_nan | is_bad
            # Where it is reported that weights are NaN, what is drawn by them is not looked at.
            log_weights = torch.where(is_bad, 0.0, log_weights)
            carry = _joined(self.function.carry(old.retval), drawn_carry)
            kept = old.choices.filter(~self.observed.child(step))
            pasts.append(_Past(_joined(kept, choices), ancestors))
        index = categorical.sample(logits=log_weights - log_weights.amax())
        return _Drawn(*self._traced_back(pasts, index), is_nan)

    def _extended(self, step: int, carry: Any, ancestors: Tensor) -> tuple[Any, Tensor, Any]:
        """Run one step of the free particles."""
        observed = self.observed.child(step)
        given = self.trace.choices.child(step).filter(observed)

        def draw(carry: Any) -> tuple[Any, Tensor, ChoiceMap]:
            drawn, weight = rooms.generate(self.function.step_call(self.call, step, carry), given)
            return self.function.carry(drawn.retval), weight, drawn.choices.filter(~observed)

        if step == 0:
            start = self.function.start(self.call)
            result: tuple[Any, Tensor, Any] = batch(lambda: draw(start), size=self.num_free)()
        else:
            tensors, structure = take_apart(carry)
            before = put_together([tensor.index_select(0, ancestors) for tensor in tensors], structure)
            result = batch(draw, size=self.num_free)(before)
        return result

    def _judged(self, step: int, log_weights: Tensor) -> Tensor:
        """Return whether weights are no weights: NaN, +inf, or all -inf; raise if that can be read."""
        is_bad = ~log_weights.amax().isfinite()  # NaN if one is
        if values_are_readable() and bool(is_bad):
            largest = float(log_weights.max())
            name = self.trace.gen_fn.name
            raise UndefinedWeightError("The log weight of a particle", name, largest, {"step": float(step)})
        return is_bad

    def _traced_back(self, pasts: list[_Past], index: Tensor) -> tuple[ChoiceMap, Tensor]:
        rows: list[tuple[Any, ChoiceMap]] = []
        num_moved = torch.zeros((), dtype=torch.float64, device=index.device)
        at = index.reshape(1)
        for step in range(self.length - 1, -1, -1):
            choices, ancestors = pasts[step]
            rows.append(((step,), choices.map(lambda value, at=at: value.index_select(0, at).squeeze(0))))
            num_moved = num_moved + (at != 0).sum()
            if step:
                at = ancestors.index_select(0, at)
        return graft(reversed(rows)), num_moved / self.length


def _joined(own: Any, others: Any) -> Any:
    """Return what particle 0 has and what the others have, side by side."""
    ours, structure = take_apart(own, once=False)
    theirs, other = take_apart(others, once=False)
    if structure != other:
        raise TypeError("The particles of a step of the sequence have values of different structures.")
    rows = [torch.cat([a[None].to(b), b]) for a, b in zip(ours, theirs, strict=True)]
    return put_together(rows, structure)


def _path(address: Address) -> Any:
    return address if isinstance(address, tuple) else (address,)
