"""The laws on combinators of combinators, over kernels of both languages and over distributions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ParamSpec, Protocol, TypeVar

import pytest
import torch
from torch import Tensor

from gen_combinators import (
    Map,
    Mask,
    Recurse,
    Scan,
    Switch,
    Unfold,
    batching,
    call_at,
    choice_at,
    dimap,
    map_args,
    map_retval,
    mix,
    or_else,
    repeat,
    shared,
    unfold_parallel,
    unfold_storage,
)
from gen_core import Call, GenerativeFunction
from gen_core.testing import check_laws
from gen_distributions import bernoulli, cauchy, exponential, normal
from gen_dml import gen
from gen_sml import static
from gen_torch.testing import check_staging

P = ParamSpec("P")
R = TypeVar("R")
Number = Any
"""A tensor or a number."""


class Language(Protocol):
    def __call__(self, source: Callable[P, R], /) -> GenerativeFunction[P, R]: ...


def kernels_in(language: Language) -> Any:
    """Return kernels, finite ones and smooth ones, in a language; all that take one number are alike."""

    @language
    def flag(p: Number) -> Tensor:
        """One choice depends on another, which lies deeper."""
        x = bernoulli(p) @ "x"
        bernoulli(torch.where(x, 0.6, 0.2)) @ ("below", "y")
        return x

    @language
    def other(p: Number) -> Tensor:
        """Has an address with `flag` in common, and one of its own."""
        x = bernoulli(1.0 - p) @ "x"
        bernoulli(torch.where(x, 0.9, 0.4)) @ "z"
        return x

    @language
    def line(x: Number) -> Tensor:
        slope = normal(0.0, 1.5) @ "slope"
        return normal(slope * x, 0.5) @ "y"

    @language
    def curve(x: Number) -> Tensor:
        slope = normal(0.5, 1.0) @ "slope"
        bend = normal(0.0, 1.0) @ "bend"
        return normal(slope * x + bend * x * x, 0.5) @ "y"

    @language
    def walk(t: int, x: Number, drift: Number) -> Number:
        x = normal(x + drift, 1.0) @ "x"
        normal(x, 0.5 + 0.1 * t) @ "y"
        return x

    @language
    def jump(t: int, x: Number, drift: Number) -> Number:
        by = normal(drift, 2.0) @ "by"
        return x + by

    @language
    def shift(x: Number, by: Number) -> Tensor:
        return normal(x, 1.0 + by * by) @ "shifted"

    @language
    def hidden(t: int, state: Number, stay: Number) -> Number:
        state = bernoulli(stay if state else 1.0 - stay) @ "state"
        bernoulli(0.8 if state else 0.3) @ "seen"
        return state

    @language
    def switching(t: int, x: Number, p: Number) -> Tensor:
        return Switch(flag, other)(int(x), p) @ "part"

    @language
    def switching_walk(t: int, x: Number, drift: Number) -> Number:
        is_jump = bernoulli(0.4) @ "is_jump"
        return Switch(walk, jump)(is_jump, t, x, drift) @ "part"

    @language
    def row_of_lines(t: int, x: Number, xs: Sequence[Number]) -> Number:
        ys = Map(line)(xs) @ "ys"
        return ys[0] + 0.1 * x

    @language
    def masked(t: int, x: Number, p: Number) -> Tensor:
        seen = Mask(flag)(x, p) @ "seen"
        return bernoulli(torch.where(seen.or_else(torch.tensor(True)), 0.7, p)) @ "x"

    @language
    def smooth(level: Number, xs: Sequence[Number]) -> tuple[Tensor, Tensor]:
        level = normal(level, 0.5) @ "level"
        ys = Map(normal)(xs, shared(1.0)) @ "ys"
        return level, ys[0] + level

    @language
    def leaf(given: tuple[int, Number]) -> tuple[Tensor, list[tuple[int, Number]]]:
        depth, p = given
        x = bernoulli(p) @ "x"
        return x, [(depth - 1, p)] * (1 + int(x)) if depth else []

    @language
    def branching_leaf(given: tuple[int, Number]) -> tuple[Tensor, list[tuple[int, Number]]]:
        depth, p = given
        x = Switch(flag, other)(depth % 2, p) @ "part"
        return x, [(depth - 1, p)] * int(x) if depth else []

    @language
    def row_leaf(depth: int) -> tuple[Tensor, list[int]]:
        ys = Map(line)([0.5, float(depth)]) @ "ys"
        return ys[0], [depth - 1] * depth

    @language
    def agree(value: Tensor, results: Sequence[Tensor]) -> Tensor:
        return bernoulli(0.8 if all(results) == bool(value) else 0.3) @ "agrees"

    @language
    def noisy_sum(value: Tensor, results: Sequence[Tensor]) -> Tensor:
        return normal(value + sum(results), 1.0) @ "noise"

    @language
    def tree_step(t: int, x: Number, p: Number) -> Tensor:
        return Recurse(leaf, agree, 2)((int(x), p)) @ "tree"

    @language
    def computed(p: Number) -> Tensor:
        xs = Map(flag)([p, 0.6]) @ "xs"
        k = int(xs[0])
        return call_at(other)(("k", k), 0.4) @ "chosen"

    return SimpleNamespace(**locals())


LANGUAGES = {"dynamic": kernels_in(gen), "static": kernels_in(static)}


@dataclass(frozen=True)
class Row:
    """A function of kernels, arguments to start from and to move to, and what `check_laws` is told of it."""

    gen_fn: Callable[[Any], GenerativeFunction[..., Any]]
    arguments: list[tuple[Any, ...]]
    flags: dict[str, Any] = field(default_factory=dict)
    changes_branch_in_batches: bool = False
    """A batch has the choices of all branches, from which a caller of law 14 cannot derive its edits."""

    def calls(self, kernels: Any) -> list[Call[Any]]:
        gen_fn = self.gen_fn(kernels)
        return [gen_fn(*arguments) for arguments in self.arguments]


FINITE = {"finite": True}
# A function with a choice at the empty address that returns something else: law 9 is about those that do not.
RETURNS_ANOTHER = {"laws": set(range(1, 16)) - {9}}
PS = (0.3, 0.6)
XS = torch.tensor([0.5, -1.0], dtype=torch.float64)
MORE_XS = torch.tensor([0.5, -0.7, 1.2], dtype=torch.float64)


def last(states: Sequence[Tensor], *args: Any) -> Any:
    return states[-1] if len(states) else torch.tensor(0.1)


def coins(t: int, state: Number, p: Number) -> tuple[Any, ...]:
    return [p, 1.0], (0.8 if state else 0.2,), (0.3 + 0.1 * t,)


NESTED = {
    "Map of Switch": Row(
        lambda k: Map(Switch(k.flag, k.other)),
        [([0, 1], PS), ([1, 1], PS), ([0], PS[:1]), (torch.tensor([1, 0]), PS)],
        FINITE,
    ),
    "Map of smooth Switch": Row(
        lambda k: Map(Switch(k.line, k.curve)), [([0, 1], XS), ([1, 1], XS), ([1, 0, 1], MORE_XS)]
    ),
    "Map of Map": Row(
        lambda k: Map(Map(k.line)), [(torch.stack([XS, XS]),), ([MORE_XS, XS],), ([XS],), ([],)]
    ),
    "Map of Unfold": Row(
        lambda k: Map(Unfold(k.walk)),
        [
            ([2, 1], [0.2, -0.3], shared(0.1)),
            ([2, 2], [0.2, -0.3], shared(0.1)),
            ([2, 1, 0], [0.2, 0.3, 0.4], shared(0.4)),
        ],
    ),
    "Map of Mask": Row(lambda k: Map(Mask(k.flag)), [([True, False], PS), ([True, True], PS)], FINITE),
    "Map of mix": Row(
        lambda k: Map(mix(k.line, k.curve)),
        [(shared([p, 1.0]), [(0.1,), (0.2,)], [(0.3,), (0.4,)]) for p in (0.5, 1.0)],
        changes_branch_in_batches=True,
    ),
    "Map of call_at": Row(
        lambda k: Map(call_at(k.flag)), [(["a", "b"], PS), (["a", ("c", 0)], PS), (["a"], PS[:1])], FINITE
    ),
    "Map of dimap": Row(
        lambda k: Map(dimap(k.line, pre=lambda x, by: (x * by,), post=lambda y, x, by: y + x)),
        [(XS, shared(0.5)), (MORE_XS, shared(0.5)), (XS, shared(1.5))],
    ),
    "Map of Recurse": Row(
        lambda k: Map(Recurse(k.leaf, k.agree, 2)), [([(0, 0.3), (1, 0.6)],), ([(1, 0.4)],)]
    ),
    "Map of Scan": Row(
        lambda k: Map(Scan(k.smooth)), [([0.1, 0.2], [[XS], [XS, XS]]), ([0.1], [[XS, MORE_XS]])]
    ),
    "Map of repeat": Row(lambda k: Map(repeat(k.flag, 2)), [(PS,), (PS[:1],)]),
    "Unfold of Map": Row(lambda k: Unfold(k.row_of_lines), [(2, 0.1, XS), (3, 0.1, XS), (1, 0.1, MORE_XS)]),
    "Unfold of Switch": Row(
        lambda k: Unfold(k.switching), [(2, True, 0.3), (1, True, 0.3), (2, False, 0.3)], FINITE
    ),
    "Unfold of smooth Switch": Row(
        lambda k: Unfold(k.switching_walk), [(2, 0.1, 0.3), (3, 0.1, 0.3)], changes_branch_in_batches=True
    ),
    "Unfold of a Switch by the step": Row(
        lambda k: Unfold(Switch(k.line, k.curve)), [(1, 0.5), (2, 0.5), (2, 1.5)]
    ),
    "Unfold of Unfold": Row(
        lambda k: Unfold(map_retval(Unfold(k.walk), last)), [(2, 0.5, 0.2), (3, 0.5, 0.2), (1, 0.1, 0.4)]
    ),
    "Unfold of Mask": Row(
        lambda k: Unfold(k.masked),
        [(2, torch.tensor(True), 0.3), (1, torch.tensor(True), 0.3), (2, torch.tensor(False), 0.4)],
        FINITE,
        changes_branch_in_batches=True,
    ),
    "Unfold of map_args": Row(
        lambda k: Unfold(map_args(k.line, lambda t, x, by: (x + by * t,))),
        [(2, 0.5, 0.1), (3, 0.5, 0.1), (2, 0.5, 0.4)],
    ),
    "Unfold of Recurse": Row(lambda k: Unfold(k.tree_step), [(1, False, 0.4), (2, False, 0.4)]),
    "Unfold of mix": Row(
        lambda k: Unfold(map_args(mix(k.flag, k.other), coins)),
        [(1, True, 0.5), (2, True, 0.5), (1, True, 1.5)],
        FINITE,
        changes_branch_in_batches=True,
    ),
    "Scan of Map": Row(
        lambda k: Scan(k.smooth), [(0.1, [XS, XS]), (0.1, [XS, MORE_XS, XS]), (0.1, [MORE_XS])]
    ),
    "Switch of Map": Row(
        lambda k: Switch(Map(k.flag), Map(k.other)), [(0, PS), (1, PS), (1, PS[:1])], FINITE
    ),
    "Switch of Map and Unfold": Row(
        lambda k: Switch(map_args(Unfold(k.walk), lambda xs, by: (2, xs[0], by.value)), Map(k.shift)),
        [(0, XS, shared(0.1)), (1, XS, shared(0.1)), (1, MORE_XS, shared(0.2))],
    ),
    "Switch of Unfold": Row(
        lambda k: Switch(Unfold(k.walk), Unfold(k.jump)),
        [(0, 2, 0.1, 0.3), (1, 2, 0.1, 0.3), (1, 3, 0.1, 0.3), (0, 3, 0.1, 0.3)],
    ),
    "Switch of Switch": Row(
        lambda k: Switch(Switch(k.flag, k.other), Switch(k.other)),
        [(0, 0, 0.3), (0, 1, 0.3), (1, 0, 0.3)],
        FINITE,
    ),
    "Switch of Recurse": Row(
        lambda k: Switch(Recurse(k.leaf, k.agree, 2), Recurse(k.branching_leaf, k.agree, 2)),
        [(0, (1, 0.3)), (1, (1, 0.3))],
    ),
    "Switch between structures": Row(
        lambda k: Switch(k.line, Map(k.line), Unfold(k.walk), call_at(k.curve)),
        [(0, 0.5), (1, XS), (2, 2, 0.1, 0.3), (3, "y", 0.5), (1, MORE_XS)],
    ),
    "Mask of Map": Row(
        lambda k: Mask(Map(k.flag)), [(True, PS), (False, PS), (torch.tensor(True), PS)], FINITE
    ),
    "Mask of Unfold": Row(lambda k: Mask(Unfold(k.walk)), [(True, 2, 0.1, 0.3), (False, 2, 0.1, 0.3)]),
    "mix of Map": Row(
        lambda k: mix(Map(k.flag), Map(k.other)),
        [(probs, (PS,), (PS[:1],)) for probs in ([0.3, 0.7], [0.5, 0.5])],
        FINITE,
    ),
    "mix of Unfold": Row(
        lambda k: mix(Unfold(k.walk), Unfold(k.jump)),
        [([0.3, 0.7], (2, 0.1, 0.3), (n, 0.1, 0.3)) for n in (2, 3)],
        changes_branch_in_batches=True,
    ),
    "or_else of Map": Row(
        lambda k: or_else(Map(k.flag), k.other), [(flag, (PS,), (0.3,)) for flag in (True, False)], FINITE
    ),
    "dimap of Unfold": Row(
        lambda k: dimap(Unfold(k.walk), pre=lambda n, x: (n, x, 0.1), post=lambda xs, n, x: last(xs) + x),
        [(2, 0.5), (3, 0.5), (2, 1.0)],
    ),
    "dimap of Map": Row(
        lambda k: dimap(Map(k.line), pre=lambda xs, by: (xs * by,), post=lambda ys, xs, by: ys[0] * by),
        [(XS, 0.5), (MORE_XS, 0.5), (XS, torch.tensor(1.0))],
    ),
    "call_at of Map": Row(lambda k: call_at(Map(k.flag)), [("a", PS), (("b", 1), PS), ("a", PS[:1])], FINITE),
    "call_at of Switch": Row(
        lambda k: call_at(Switch(k.line, k.curve)), [("a", 0, 0.5), ("a", 1, 0.5), (2, 1, 0.5)]
    ),
    "computed addresses beside a Map": Row(lambda k: k.computed, [(0.3,), (0.6,)], FINITE),
    "Recurse": Row(lambda k: Recurse(k.leaf, k.agree, 2), [((1, 0.3),), ((0, 0.3),), ((1, 0.6),)], FINITE),
    "Recurse of Switch": Row(
        lambda k: Recurse(k.branching_leaf, k.agree, 1), [((1, 0.3),), ((0, 0.3),)], FINITE
    ),
    "Recurse of Map": Row(lambda k: Recurse(k.row_leaf, k.noisy_sum, 2), [(1,), (2,)]),
    "repeat of Unfold": Row(lambda k: repeat(Unfold(k.hidden), 2), [(1, True, 0.7), (1, True, 0.4)], FINITE),
}
"""Combinators two deep, which run in both languages."""

OF_DISTRIBUTIONS = {
    "Map of Switch": Row(
        lambda _: Map(Switch(bernoulli, bernoulli)), [([0, 1], PS), ([1, 1], PS), ([0], PS[:1])], FINITE
    ),
    "Map of Map": Row(
        lambda _: Map(Map(normal)), [([XS, MORE_XS], shared(shared(1.0))), ([XS], shared(shared(0.5)))]
    ),
    "Map of call_at": Row(
        lambda _: Map(choice_at(bernoulli)), [(["a", "b"], PS), (["a", ("c", 0)], PS)], FINITE
    ),
    "Map of Mask": Row(
        lambda _: Map(Mask(normal)),
        [([True, False], XS, shared(1.0)), ([True], XS[:1], shared(0.5))],
        RETURNS_ANOTHER,
    ),
    "Map of map_retval": Row(
        lambda _: Map(map_retval(normal, torch.exp)),
        [(XS, shared(1.0)), (MORE_XS, shared(2.0))],
        RETURNS_ANOTHER,
    ),
    "Unfold of Switch": Row(
        lambda _: Unfold(map_args(Switch(normal, cauchy), lambda t, x, scale: (t % 2, x, scale))),
        [(2, 0.5, 1.0), (3, 0.5, 1.0), (1, 0.5, 2.0)],
    ),
    "Unfold of Map": Row(
        lambda _: Unfold(map_args(Map(normal), lambda t, xs, scale: (xs, shared(scale)))),
        [(1, [0.1, 0.2], 1.0), (2, [0.1, 0.2], 1.0), (2, [0.1], 1.0)],
    ),
    "Switch of Map": Row(lambda _: Switch(Map(normal), Map(cauchy)), [(i, XS, shared(1.0)) for i in (0, 1)]),
    "Mask of Map": Row(lambda _: Mask(Map(bernoulli)), [(True, PS), (False, PS), (True, PS[:1])], FINITE),
    "mix of distributions in a Map": Row(
        lambda _: Map(mix(normal, exponential)),
        [(shared([p, 1.0]), [(0.1, 1.0), (0.2, 1.0)], [(0.3,), (0.4,)]) for p in (0.5, 1.0)],
        changes_branch_in_batches=True,
    ),
    "or_else of Map": Row(
        lambda _: or_else(Map(bernoulli), bernoulli),
        [(flag, (PS,), (0.3,)) for flag in (True, False)],
        FINITE,
    ),
}
"""Combinators two deep over nothing but distributions."""


IN_COLUMNS = [
    "Map of Switch",
    "Map of Map",
    "Map of Unfold",
    "Map of dimap",
    "Map of Scan",
    "Map of repeat",
    "Unfold of Map",
    "Unfold of map_args",
    "Scan of Map",
    "Switch of Map",
    "mix of Unfold",
]
"""Rows of which something is held in columns, or must not be."""
STAGED = ["Map of Map", "Unfold of Map"]
THOROUGH = dict(zip(NESTED, itertools.cycle(["static", "dynamic"])))
"""For each row the language in which all laws are checked; in the other, those of single runs are."""
OTHER = {"static": "dynamic", "dynamic": "static"}
QUICK = set(range(1, 14)) - {6, 7}
"""The laws of single runs, without those that enumerate."""


def check(row: Row, kernels: Any) -> None:
    call, *others = row.calls(kernels)
    if row.changes_branch_in_batches:
        check_laws(call, other_calls=others, laws=range(1, 15), **row.flags)
        check_laws(call, other_calls=others, laws=[15], **row.flags)
    else:
        check_laws(call, other_calls=others, **row.flags)


def check_quickly(row: Row, kernels: Any) -> None:
    call, *others = row.calls(kernels)
    check_laws(call, other_calls=others, laws=QUICK & row.flags.get("laws", QUICK))


@pytest.mark.parametrize(
    ("name", "language"), [(name, OTHER[thorough]) for name, thorough in THOROUGH.items()]
)
def test_combinators_of_combinators_keep_the_laws_of_single_runs(name: str, language: str) -> None:
    check_quickly(NESTED[name], LANGUAGES[language])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "language"), THOROUGH.items())
def test_combinators_of_combinators_keep_all_laws(name: str, language: str) -> None:
    check(NESTED[name], LANGUAGES[language])


@pytest.mark.parametrize("name", OF_DISTRIBUTIONS)
def test_combinators_of_combinators_of_distributions_keep_all_laws(name: str) -> None:
    check(OF_DISTRIBUTIONS[name], None)


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold in columns, and run at once, what can be, however few elements there are."""
    monkeypatch.setattr(batching, "FEWEST", 1)
    monkeypatch.setattr(unfold_storage, "LONG", 2)
    monkeypatch.setattr(unfold_parallel, "MANY", 2)


@pytest.mark.usefixtures("columns")
@pytest.mark.parametrize("name", IN_COLUMNS)
def test_combinators_of_combinators_in_columns_keep_the_laws_of_single_runs(name: str) -> None:
    check_quickly(NESTED[name], LANGUAGES["dynamic"])


@pytest.mark.slow
@pytest.mark.usefixtures("columns")
@pytest.mark.parametrize("name", IN_COLUMNS)
def test_combinators_of_combinators_in_columns_keep_all_laws(name: str) -> None:
    check(NESTED[name], LANGUAGES["static"])


@pytest.mark.slow
@pytest.mark.usefixtures("columns")
@pytest.mark.parametrize("name", OF_DISTRIBUTIONS)
def test_combinators_of_distributions_in_columns_keep_all_laws(name: str) -> None:
    check(OF_DISTRIBUTIONS[name], None)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", STAGED)
def test_staged_combinators_of_combinators_return_what_eager_ones_return(name: str, language: str) -> None:
    check_staging(NESTED[name].calls(LANGUAGES[language])[0])
