"""Bugs of the kind that people write, planted in combinators: the laws find each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from gen_combinators import (
    Map,
    Switch,
    Unfold,
    call_at,
    map_edit,
    map_edit_one,
    mix,
    shared,
    unfold_edit,
)
from gen_combinators.branching import Branching
from gen_combinators.call_at import CallAtTrace
from gen_combinators.elements import Elements
from gen_combinators.mix import MixTrace
from gen_core import ALL, EMPTY, UNCHANGED, Call
from gen_core.testing import LawError, check_laws
from gen_distributions import bernoulli, normal
from gen_dml import gen

pytestmark = pytest.mark.unverified


@gen
def point(x: Tensor, slope: float) -> Tensor:
    z = normal(slope, 1.0) @ "z"
    return normal(z * x, 1.0) @ "y"


@gen
def walk(t: int, x: Tensor, drift: float) -> Tensor:
    x = normal(x + drift, 1.0) @ "x"
    normal(x, 0.5 + 0.1 * t) @ "y"
    return x


@gen
def flag(p: float) -> Tensor:
    x = bernoulli(p) @ "x"
    bernoulli(torch.where(x, 0.6, 0.2)) @ "y"
    return x


@gen
def other(p: float) -> Tensor:
    x = bernoulli(1.0 - p) @ "x"
    bernoulli(torch.where(x, 0.9, 0.4)) @ "z"
    return x


XS = torch.tensor([0.5, -1.0, 0.3], dtype=torch.float64)


def map_calls() -> list[Call[Any]]:
    points = Map(point)
    return [points(xs, shared(slope)) for xs, slope in ((XS[:2], 0.5), (XS, 0.5), (XS[:2], 1.5))]


def unfold_calls() -> list[Call[Any]]:
    chain = Unfold(walk)
    start = torch.zeros(())
    return [chain(length, start, drift) for length, drift in ((3, 0.1), (2, 0.1), (4, 0.1), (3, 0.7))]


def switch_calls() -> list[Call[Any]]:
    either = Switch(flag, other)
    return [either(index, 0.3) for index in (0, 1)]


def mix_calls() -> list[Call[Any]]:
    mixture = mix(flag, other)
    return [mixture(probs, (0.3,), (0.6,)) for probs in ([0.3, 0.7], [0.6, 0.4])]


def call_at_calls() -> list[Call[Any]]:
    keyed = call_at(flag)
    return [keyed(key, 0.3) for key in ("a", "b")]


Method = Callable[..., Any]
LAWS = range(1, 14)
"""Those that hold of single runs: they find everything here, and quickly."""


class Mutation(NamedTuple):
    """A method, or function of a module, that does something else, and calls on which that is wrong."""

    owner: Any
    method: str
    mutant: Callable[[Method], Any]
    """Makes the wrong method of the right one."""
    calls: Callable[[], list[Call[Any]]]


def stops_after_one_step(right: Method) -> Method:
    def wrong(*args: Any) -> Any:
        right(*args)
        return UNCHANGED

    return wrong


def works_in_place(right: Method) -> Method:
    def wrong(self: Any, *args: Any) -> Any:
        edited = right(self, *args)
        self._base, self._overlay = edited._base, edited._overlay
        return edited

    return wrong


def gains_nothing(right: Method) -> Method:
    def wrong(self: Any, *args: Any) -> Any:
        self._gained.clear()
        return right(self, *args)

    return wrong


def forgets_what_is_gone(right: Method) -> Method:
    def wrong(self: Any, *args: Any) -> Any:
        self._gone.clear()
        return right(self, *args)

    return wrong


def visits_only_what_is_asked(right: Method) -> Method:
    def wrong(self: Any, groups: Any, *args: Any) -> Any:
        if groups:
            right(self, groups, *args)

    return wrong


def hides_the_component(right: Method) -> Method:
    return lambda self, path: None if path[:1] == ("component",) else right(self, path)


def projects_everything(right: Method) -> Method:
    return lambda self, elements, group: [element.score for element in elements]


MUTATIONS = {
    "Map adds what it loses with a dropped element": Mutation(
        map_edit.Edit, "drop", lambda right: lambda self, lost: right(self, -lost), map_calls
    ),
    "Map loses no more than the score's residual with a dropped element": Mutation(
        map_edit.Edit, "drop", lambda right: lambda self, lost: right(self, 0 * lost), map_calls
    ),
    "Map charges what it draws for a new element": Mutation(
        map_edit.Edit,
        "add",
        lambda right: lambda self, entered: right(self, entered._replace(weight=entered.score)),
        map_calls,
    ),
    "Map projects whatever is selected": Mutation(
        Map,
        "_project_group",
        projects_everything,
        map_calls,
    ),
    "Map says that nothing it returns has changed": Mutation(
        map_edit.Edit, "_retdiff", lambda right: lambda self: UNCHANGED, map_calls
    ),
    "Map forgets what an edited element gains": Mutation(map_edit.Edit, "_score", gains_nothing, map_calls),
    "Map forgets what the one element that it edits gains": Mutation(
        map_edit_one,
        "edited_score",
        lambda right: lambda old, elements, gained, lost: right(old, elements, [], lost),
        map_calls,
    ),
    "Map discards nothing of the one element that it edits": Mutation(
        map_edit_one, "branch", lambda right: lambda children: EMPTY, map_calls
    ),
    "Map visits no element whose arguments changed": Mutation(
        map_edit.Edit,
        "keep",
        visits_only_what_is_asked,
        map_calls,
    ),
    "Map discards nothing": Mutation(
        map_edit.Edit, "_discarded", lambda right: lambda self: right(self).filter(~ALL), map_calls
    ),
    "an edit of an element changes the old trace": Mutation(Elements, "replaced", works_in_place, map_calls),
    "Unfold forgets the score of a dropped step": Mutation(
        unfold_edit.Edit,
        "drop",
        lambda right: lambda self, lost: right(self, lambda old: 0 * lost(old)),
        unfold_calls,
    ),
    "Unfold never walks on": Mutation(unfold_edit.Edit, "_edit_step", stops_after_one_step, unfold_calls),
    "Unfold starts at the first step only": Mutation(
        unfold_edit.Edit,
        "_starts",
        lambda right: lambda self, asked: list(right(self, asked))[:1],
        unfold_calls,
    ),
    "Unfold keeps the old score of an edited step": Mutation(
        unfold_edit.Edit, "_score", forgets_what_is_gone, unfold_calls
    ),
    "Unfold extends from where it started": Mutation(
        unfold_edit.Edit,
        "_carry_into",
        lambda right: lambda self, step: right(self, 0),
        unfold_calls,
    ),
    "Switch forgets the score of the branch that it leaves": Mutation(
        Branching,
        "_moved",
        lambda right: (
            lambda self, old, call, index, edited: right(
                self, old, call, index, edited._replace(weight=edited.weight + old.score)
            )
        ),
        switch_calls,
    ),
    "Switch takes all of the new branch for its weight": Mutation(
        Branching,
        "_moved",
        lambda right: (
            lambda self, old, call, index, edited: right(
                self, old, call, index, edited._replace(weight=edited.trace.score - old.score)
            )
        ),
        switch_calls,
    ),
    "Switch discards what both branches have": Mutation(
        Branching,
        "_moved",
        lambda right: (
            lambda self, old, call, index, edited: right(
                self, old, call, index, edited._replace(discard=old.choices)
            )
        ),
        switch_calls,
    ),
    "Switch stays in its branch": Mutation(
        Branching, "_new_index", lambda right: lambda self, trace, call, diffs: trace.number, switch_calls
    ),
    "mix hides the number of its component": Mutation(
        MixTrace,
        "find",
        hides_the_component,
        mix_calls,
    ),
    "call_at keeps its choices under another key": Mutation(
        CallAtTrace, "key", lambda right: property(lambda self: ("a",)), call_at_calls
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_laws_find_a_bug_in_a_combinator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = MUTATIONS[name]
    call, *others = mutation.calls()
    right = getattr(mutation.owner, mutation.method)
    monkeypatch.setattr(mutation.owner, mutation.method, mutation.mutant(right))

    with pytest.raises(LawError, match=r"^law \d+ "):
        check_laws(call, other_calls=others, laws=LAWS)


@pytest.mark.parametrize(
    "calls", {mutation.calls for mutation in MUTATIONS.values()}, ids=lambda calls: calls.__name__
)
def test_without_a_bug_the_laws_hold_for_the_same_calls(calls: Callable[[], list[Call[Any]]]) -> None:
    call, *others = calls()

    check_laws(call, other_calls=others, laws=LAWS)
