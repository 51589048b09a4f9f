"""One particle: a trace that agrees with the observations, and its log weight."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from torch import Tensor

from gen_core import AddressCollisionError, Call, ChoiceMap, Generated
from gen_core.readable import values_are_readable
from gen_inflib.errors import UndefinedWeightError

R = TypeVar("R")


def draw_particle(model: Call[R], observations: ChoiceMap, proposal: Call[Any] | None) -> Generated[R]:
    """Generate one trace, and return it with its importance weight.

    Returns:
        weight = log p(t, r; x) - log q(t; u, x) - log q(r; x, t) - log density of the proposed choices,
        where u are the observations and the proposed choices.

    Raises:
        AddressCollisionError: The proposal proposes what is observed.
        UndefinedWeightError: The weight is NaN or +inf, where values can be read.
    """
    if proposal is None:
        generated = model.generate(observations)
        _check(model, generated.weight, {"generate weight": generated.weight})
        return generated
    choices, score, _ = proposal.propose()
    trace, weight = model.generate(_with_proposed(observations, choices, proposal))
    total = weight - score
    _check(model, total, {"generate weight": weight, "score of the proposal": score})
    return Generated(trace, total)


def _with_proposed(observations: ChoiceMap, choices: ChoiceMap, proposal: Call[Any]) -> ChoiceMap:
    try:
        return observations.merge(choices)
    except AddressCollisionError as error:
        error.add_note(f"One is observed, the other a choice of the proposal {proposal.gen_fn.name}.")
        raise


def _check(model: Call[Any], weight: Tensor, parts: dict[str, Tensor]) -> None:
    if not values_are_readable():
        return  # the batch is judged as a whole
    number = weight.item()
    if math.isnan(number) or number == math.inf:
        numbers = {name: part.item() for name, part in parts.items()}
        raise UndefinedWeightError("The log weight of a particle", model.gen_fn.name, number, numbers)
