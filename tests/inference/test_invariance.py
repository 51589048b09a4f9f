"""Kernels leave the posterior of finite models exactly as it is: by the exact matrix of transitions."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gen_core import ChoiceMap, Trace, select
from gen_distributions import bernoulli, categorical, uniform_discrete
from gen_dml import gen
from gen_inflib import (
    Kernel,
    cycle,
    declare_reversal,
    for_each,
    for_random,
    gibbs,
    involution_of,
    involutive_metropolis_hastings,
    metropolis_hastings,
    mixture,
    repeat,
    reversed_kernel,
    when,
)
from gen_inflib.testing import (
    InvarianceError,
    check_invariance,
    check_reversal,
    probabilities,
    state_of,
    transitions,
)


@gen
def alarm() -> None:
    burglary = bernoulli(0.1) @ "burglary"
    size = categorical([0.2, 0.5, 0.3]) @ "size"
    rings = bernoulli((0.6 if burglary else 0.1) + 0.1 * float(size)) @ "rings"
    bernoulli(0.7 if rings else 0.2) @ "call"


ALARMS = [
    alarm.generate({"burglary": b, "size": s, "rings": r, "call": True}).trace
    for b in (False, True)
    for s in range(3)
    for r in (False, True)
]


@gen
def crowd() -> None:
    """A model of random structure."""
    count = uniform_discrete(0, 2) @ "count"
    bright = sum(bool(bernoulli(0.3 + 0.2 * i) @ ("bright", i)) for i in range(count))
    bernoulli((0.1, 0.6, 0.9)[bright]) @ "seen"


CROWDS = [
    crowd.generate({"count": k, "seen": True} | {("bright", i): bool(bits >> i & 1) for i in range(k)}).trace
    for k in range(3)
    for bits in range(2**k)
]


@gen
def lopsided(trace: Trace[Any]) -> None:
    bernoulli(0.2 if trace["burglary"] else 0.9) @ "burglary"
    categorical([0.1, 0.2, 0.7] if trace["size"] else [0.3, 0.3, 0.4]) @ "size"


@gen
def birth_or_death(trace: Trace[Any]) -> None:
    count = int(trace["count"])
    proposed = categorical(([0.0, 1.0, 0.0], [0.4, 0.0, 0.6], [0.0, 1.0, 0.0])[count]) @ "count"
    if proposed > count:
        bernoulli(0.8) @ ("bright", count)


@gen
def shift(trace: Trace[Any]) -> None:
    """How far to turn the size, and whether to flip the alarm."""
    categorical([0.2, 0.3, 0.5] if trace["rings"] else [0.6, 0.3, 0.1]) @ "turn"
    bernoulli(0.4 if trace["burglary"] else 0.7) @ "flip"


def turn(ours: ChoiceMap, theirs: ChoiceMap) -> tuple[dict[str, Any], dict[str, Any]]:
    """Turn the size; the way back turns it by what is left to three."""
    moved = {
        "size": (ours["size"] + theirs["turn"]) % 3,
        "rings": ours["rings"] ^ theirs["flip"],
    }
    return moved, {"turn": (3 - theirs["turn"]) % 3, "flip": theirs["flip"]}


def by_hand(trace: Trace[Any], choices: ChoiceMap, retval: object) -> Any:
    new, weight, _, discard = trace.update(choices)
    return new, discard, weight


def by(proposal: Any) -> Kernel[Any]:
    return partial(metropolis_hastings, proposal=proposal)


def block(trace: Trace[Any]) -> Any:
    return gibbs(trace, select("burglary", "size"))


def one(address: str) -> Kernel[Any]:
    return partial(gibbs, selection=select(address))


declare_reversal(block)
turning = involution_of(turn, select("size", "rings"))
KERNELS: dict[str, tuple[Kernel[Any], list[Trace[Any]]]] = {
    "one selection": (by(select("burglary", "size", "rings")), ALARMS),
    "part of the choices": (by(select("rings")), ALARMS),
    "custom proposal": (by(lopsided), ALARMS),
    "birth and death": (by(birth_or_death), CROWDS),
    "a selection that changes structure": (by(select("count")), CROWDS),
    "gibbs": (one("size"), ALARMS),
    "gibbs of a block": (block, ALARMS),
    "involution of values": (
        partial(involutive_metropolis_hastings, proposal=shift, involution=turning, check=True),
        ALARMS,
    ),
    "involution by hand": (
        partial(involutive_metropolis_hastings, proposal=lopsided, involution=by_hand, check=True),
        ALARMS,
    ),
    "involution that changes structure": (
        partial(involutive_metropolis_hastings, proposal=birth_or_death, involution=by_hand, check=True),
        CROWDS,
    ),
    "cycle": (cycle(by(select("rings")), one("size")), ALARMS),
    "repeat": (repeat(by(select("burglary")), 2), ALARMS),
    "mixture": (mixture([(1.0, by(lopsided)), (2.0, one("rings")), (0.0, block)]), ALARMS),
    "for each": (
        for_each(["burglary", "rings"], lambda name: by(select(name))),
        ALARMS,
    ),
    "for each of what there is": (
        for_each(
            lambda trace: range(int(trace["count"])), lambda i: by(select(("bright", int(i)))), check=True
        ),
        CROWDS,
    ),
    "when": (when(lambda trace: trace["burglary"], by(select("size", "rings")), check=True), ALARMS),
    "for random": (
        for_random(uniform_discrete(0, 1), lambda i: by(select(("size", "rings")[int(i)])), check=True),
        ALARMS,
    ),
    "for random, of the trace": (
        when(
            lambda trace: trace["count"] > 0,
            for_random(
                lambda trace: uniform_discrete(0, int(trace["count"]) - 1),
                lambda i: by(select(("bright", int(i)))),
                check=True,
            ),
        ),
        CROWDS,
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_leaves_the_posterior_as_it_is(name: str) -> None:
    kernel, traces = KERNELS[name]

    check_invariance(kernel, traces)


@pytest.mark.parametrize("name", KERNELS)
def test_the_reversal_of_a_kernel_goes_each_way_back_as_often(name: str) -> None:
    kernel, traces = KERNELS[name]

    check_reversal(kernel, reversed_kernel(kernel), traces)


def test_a_cycle_is_not_its_own_reversal() -> None:
    kernel, traces = KERNELS["cycle"]

    with pytest.raises(InvarianceError, match="cycle backwards does not leave the distribution"):
        check_reversal(kernel, kernel, traces)


@pytest.mark.parametrize(
    "wrong",
    [
        # A weight halved; a way back that is scored wrongly; a loop over what the kernel changes.
        lambda trace: _halved(trace),
        lambda trace: _one_way(trace),
        for_each(lambda trace: range(int(trace["size"])), lambda i: by(select("size"))),
    ],
)
def test_mistakes_are_seen(wrong: Kernel[Any]) -> None:
    with pytest.raises(InvarianceError, match="does not leave the distribution as it is"):
        check_invariance(wrong, ALARMS)


def _halved(trace: Trace[Any]) -> Any:
    def involution(trace: Trace[Any], choices: ChoiceMap, retval: object) -> Any:
        new, back, weight = by_hand(trace, choices, retval)
        return new, back, weight / 2

    return involutive_metropolis_hastings(trace, lopsided, involution)


def _one_way(trace: Trace[Any]) -> Any:
    """Score the way back as if it began where the way there did."""
    return metropolis_hastings(trace, lambda now: lopsided(trace))


def test_gibbs_draws_from_the_conditional_distribution() -> None:
    trace = ALARMS[3]
    exact = probabilities(ALARMS)

    found = transitions(one("size"), trace)

    rest = {path: value for path, value in state_of(trace) if path != ("size",)}
    same = {
        state: probability
        for state, probability in exact.items()
        if {path: value for path, value in state if path != ("size",)} == rest
    }
    total = sum(same.values())
    assert found == pytest.approx({state: each / total for state, each in same.items()}, abs=1e-6)
