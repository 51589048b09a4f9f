"""Particle Gibbs: draw a whole sequence of latent choices again, by conditional sequential Monte Carlo."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gen_core import Address, ChoiceMap, Selection, Trace, batch, rooms
from gen_core.choicemap_build import graft
from gen_core.selection_build import as_selection
from gen_core.sequence import SequenceFunction
from gen_core.structure import put_together, take_apart
from gen_distributions import categorical
from gen_inflib.counts import check_count
from gen_inflib.errors import CoupledSequenceError, SequenceError
from gen_inflib.resampling import multinomial

R = TypeVar("R")

TOLERANCE = 1e-3
"""Nats: what rounding may make of a weight that is zero."""


class ParticleGibbsInfo(NamedTuple):
    """What happened in one step."""

    accepted: bool
    """Always true: it is a Gibbs step."""
    share_moved: float
    """The share of the steps of the sequence whose choices are not those of the old trace."""


def particle_gibbs(
    trace: Trace[R], observed: Selection, *, num_particles: int, address: Address = ()
) -> tuple[Trace[R], ParticleGibbsInfo]:
    """Draw the choices of a sequence that are not observed, leaving the posterior as it is.

    One particle keeps the old sequence, while the others are drawn, weighed and resampled around it; then one
    is picked in proportion to the final weights, and its line of ancestors is the new sequence.

    Args:
        trace: A trace of a sequence function such as `Unfold`, or one that has it at `address`. The rest of
            the model may depend on the sequence in no other way than the sequence on itself.
        observed: The addresses below `address` that stay, such as `select((ANY, "y"))`.
        num_particles: How many, the old sequence included; at least 2. With too few, early steps rarely move.
        address: Where the sequence is.

    Returns:
        The new trace, and what happened.

    Raises:
        SequenceError: There is no sequence function at `address`.
        CoupledSequenceError: The model outside of the sequence depends on what changed.
        NotBatchableError: The kernel cannot be batched.

    Source: Andrieu, Doucet and Holenstein, Particle Markov chain Monte Carlo methods, JRSS B 72 (2010).
    """
    check_count("num_particles", num_particles, least=2)
    inner = trace.subtrace(address) if address != () else trace
    if not isinstance(inner.gen_fn, SequenceFunction):
        raise SequenceError(inner.gen_fn.name)
    stays = as_selection(observed)
    with torch.no_grad():
        choices, share_moved = _Conditional(inner, stays, num_particles).run()
        kept = inner.choices.filter(stays)
        new_inner = rooms.assess(inner.call, choices.merge(kept))
        if address == ():
            updated = trace.update(choices)
        else:
            updated = trace.update(graft([(_path(address), choices)]))
    outside = updated.weight - (new_inner.score - inner.score)
    if not abs(float(outside)) <= TOLERANCE * max(1.0, abs(float(inner.score))):
        raise CoupledSequenceError(trace.gen_fn.name, float(outside))
    return updated.trace, ParticleGibbsInfo(True, share_moved)


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

    def run(self) -> tuple[ChoiceMap, float]:
        """Return the new choices that are not observed, and the share of steps that are new."""
        carry: Any = None
        log_weights = torch.zeros(self.num_free + 1, dtype=torch.float64)
        pasts: list[tuple[Any, Tensor]] = []
        for step in range(self.length):
            ancestors = multinomial(log_weights, self.num_free) if step else torch.zeros(0, dtype=torch.int64)
            carries, free_weights, choices = self._extended(step, carry, ancestors)
            old = self.trace.subtrace(step)
            own_weight = rooms.project(old, self.observed.child(step))
            log_weights = torch.cat([own_weight.reshape(1).to(free_weights), free_weights])
            carry = _joined(self.function.carry(old.retval), carries)
            pasts.append((choices, ancestors))
        index = int(categorical.sample(logits=log_weights - log_weights.amax()))
        return self._traced_back(pasts, index)

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

    def _traced_back(self, pasts: list[tuple[Any, Tensor]], index: int) -> tuple[ChoiceMap, float]:
        rows: list[tuple[Any, ChoiceMap]] = []
        num_moved = 0
        for step in range(self.length - 1, -1, -1):
            choices, ancestors = pasts[step]
            if index == 0:
                chosen = self.trace.choices.child(step).filter(~self.observed.child(step))
            else:
                chosen = choices.map(lambda value, at=index - 1: value[at])
                num_moved += 1
            rows.append(((step,), chosen))
            if index and step:
                index = int(ancestors[index - 1])
        return graft(reversed(rows)), num_moved / self.length


def _joined(own: Any, others: Any) -> Any:
    """Return what particle 0 carries and what the others carry, side by side."""
    ours, structure = take_apart(own, once=False)
    theirs, other = take_apart(others, once=False)
    if structure != other:
        raise TypeError("The steps of the sequence carry values of different structures.")
    rows = [torch.cat([a[None].to(b), b]) for a, b in zip(ours, theirs, strict=True)]
    return put_together(rows, structure)


def _path(address: Address) -> Any:
    return address if isinstance(address, tuple) else (address,)
