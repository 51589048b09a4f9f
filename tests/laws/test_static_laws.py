"""The laws on static functions, and one source under both decorators: the languages do the same."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import (
    ALL,
    NONE,
    UNCHANGED,
    UNKNOWN,
    Call,
    ChoiceMap,
    GenerativeFunction,
    Selection,
    inline,
    param,
    select,
    unvisited,
    where,
)
from gen_core.structure import take_apart
from gen_core.testing import check_laws
from gen_distributions import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    exponential,
    multivariate_normal,
    normal,
    poisson,
)
from gen_dml import DynamicFunction, gen
from gen_sml import StaticFunction, StaticSyntaxError, static
from gen_torch.testing import check_staging

Position = Any
"""A tensor or a number."""


def line(x: Position, noise: float = 0.5) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    intercept = normal(0.0, 2.0) @ "intercept"
    mean = slope * x + intercept
    normal(mean, noise) @ ("y", 0)
    return normal(mean + 1.0, noise) @ ("y", 1)


def chain(x: Position) -> tuple[Tensor, Tensor]:
    a = normal(x, 1.0) @ "a"
    b = normal(a, 1.0) @ "b"
    c = normal(b, 1.0) @ "c"
    return b, c


def finite(p: float, q: float) -> Tensor:
    wide = bernoulli(p) @ "wide"
    k = categorical([0.2, 0.5, 0.3] if wide else [0.6, 0.3, 0.1]) @ ("k", 0)
    chance = 0.1 + 0.2 * int(k) + 0.1 * q
    return bernoulli(chance) @ ("k", 1)


@gen
def dynamic_inner(mean: Position, scale: Position) -> Tensor:
    x = normal(mean, scale) @ "x"
    normal(x, 1.0) @ "y"
    return x


@static
def static_inner(mean: Position, scale: Position) -> Tensor:
    x = normal(mean, scale) @ "x"
    normal(x, 1.0) @ "y"
    return x


def nested(mean: Position) -> Tensor:
    a = dynamic_inner(mean, 1.0) @ "first"
    b = static_inner(a, 0.5) @ ("second", 1)
    c = static_inner(0.0, 1.0) @ "third"
    return normal(a + b + c, 0.3) @ "end"


@static
def coin(p: float) -> Tensor:
    return bernoulli(p) @ "side"


@gen
def pair(p: float) -> Tensor:
    bernoulli(p) @ "side"
    return bernoulli(1 - p) @ "other"


def changing_callee(p: float) -> object:
    callees: list[GenerativeFunction[[float], Tensor]] = [coin, pair, bernoulli]
    which = categorical([p, 0.5, 0.5 - p]) @ "which"
    first = callees[int(which)](0.3) @ "it"
    return first, bernoulli(0.9 if first else 0.2) @ "end"


def changing_distribution(wide: bool) -> Tensor:
    distribution = normal(0.0, 3.0) if wide else exponential(1.5)
    return distribution @ "x"


def moving_address(i: int, p: float) -> Tensor:
    flip = bernoulli(p) @ "flip"
    j = i + int(flip)
    first = bernoulli(0.3) @ ("at", j)
    second = bernoulli(0.9 if first else 0.4) @ ("at", j + 1)
    return bernoulli(0.8 if second else 0.3) @ "end"


@static
def spliced_part(x: Position, scale: float) -> Tensor:
    u = normal(x, scale) @ "u"
    shifted = u + param("shift", 0.3)
    return normal(shifted, 1.0) @ "v"


@static
def spliced_deep(x: Position) -> Tensor:
    w = spliced_part(x, 0.5) @ inline
    return normal(w, 1.0) @ "w"


def splices(x: Position) -> tuple[Tensor, Tensor]:
    start = normal(x, 1.0) @ "start"
    w = spliced_deep(start) @ inline
    return w, normal(w + start, 0.5) @ "end"


def with_params(x: Position) -> dict[str, Any]:
    weights = param("weights", torch.tensor([0.3, -0.2]))
    spread = param("spread", 1.5, constraints.positive)
    z = normal(weights * x, spread) @ "z"
    k = poisson(weights.exp().sum()) @ "k"
    return {"z": z, "parts": (z * weights, None), "k": k}


def many_kinds_of_arguments(
    a: Position, /, b: float = 2.0, *rest: float, scale: float = 1.0, **options: float
) -> Tensor:
    x = normal(a + b, scale) @ "x"
    total = sum(rest) + sum(options.values())
    return normal(x + total, scale) @ "y"


def vectors(n: int, loc: Tensor) -> Tensor:
    weights = dirichlet(torch.ones(3)) @ "weights"
    center = multivariate_normal(loc, torch.eye(2)) @ "center"
    points = normal(center.expand(n, 2), 0.5) @ "points"
    labels = categorical(weights.expand(n, 3)) @ "labels"
    beta(torch.tensor([1.5, 2.0]), 3.0) @ ("deep", "down", 0)
    return points[labels == 0].sum() + points.mean()


@static
def listed(scale: float) -> list[Tensor]:
    a = normal(0.0, scale) @ "a"
    return [a, normal(a, 1.0) @ "b"]


@static
def summed(values: list[Tensor], options: dict[str, float]) -> Tensor:
    return normal(torch.stack(values).sum(), options["scale"]) @ "sum"


def passes_lists_on(options: dict[str, float]) -> Tensor:
    first = listed(1.0) @ "first"
    second = listed(2.0) @ "second"
    which = bernoulli(0.5) @ "picks_first"
    return summed(first if which else second, options) @ "total"


def takes_a_call(call: Call[Tensor]) -> Tensor:
    return normal(call @ "called", 1.0) @ "seen"


def untraced_callee(p: float) -> Tensor:
    hidden = bernoulli(p).sample()
    return bernoulli(0.8 if hidden else 0.3) @ "x"


class Machine:
    def __init__(self, noise: float) -> None:
        self.noise = noise

    @static
    def step(self, x: Position, gain: float = 0.9) -> Tensor:
        return normal(gain * x, self.noise * param("factor", 1.2)) @ "next"

    @static
    def run(self, x: Position) -> Tensor:
        x = self.step(x) @ "one"
        return self.step(x, gain=0.5) @ "two"

    @static
    def joined(self, x: Position) -> Tensor:
        x = self.step(x) @ inline
        return normal(x, self.noise) @ "after"


MACHINE = Machine(0.4)


@dataclass(frozen=True)
class Row:
    """A source, arguments of calls, the first of which starts, and what `check_laws` is told of it."""

    source: Callable[..., Any]
    arguments: list[tuple[Any, ...]]
    flags: dict[str, Any] = field(default_factory=dict)

    def calls(self, gen_fn: GenerativeFunction[..., Any]) -> list[Call[Any]]:
        return [gen_fn(*arguments) for arguments in self.arguments]


ROWS = {
    "line": Row(line, [(1.0,), (torch.tensor(2.0), 1.5), (1.0, 2.0)]),
    "chain": Row(chain, [(0.5,), (torch.tensor(0.7),)]),
    "finite": Row(finite, [(0.3, 0.5), (0.6, 0.5), (0.3, 1.0)], {"finite": True}),
    "nested": Row(nested, [(0.5,), (torch.tensor(0.5),)]),
    "changing_callee": Row(changing_callee, [(0.2,), (0.4,)], {"finite": True}),
    "changing_distribution": Row(changing_distribution, [(False,), (True,)]),
    "moving_address": Row(moving_address, [(0, 0.3), (1, 0.3), (5, 0.6)], {"finite": True}),
    "splices": Row(splices, [(0.5,), (torch.tensor(1.5),)]),
    "with_params": Row(with_params, [(0.3,), (torch.tensor(1.0),)]),
    "many_kinds_of_arguments": Row(many_kinds_of_arguments, [(0.5, 1.0, 0.1, 0.2), (0.5,), (1.5, 1.0, 0.1)]),
    "vectors": Row(vectors, [(4, torch.zeros(2)), (4, torch.ones(2))]),
    "passes_lists_on": Row(passes_lists_on, [({"scale": 1.0},), ({"scale": 2.0},)]),
    "takes_a_call": Row(takes_a_call, [(static_inner(0.0, 1.0),), (normal(1.0, 2.0),)]),
    "untraced": Row(untraced_callee, [(0.3,), (0.6,)], {"finite": True, "untraced": True}),
    "method": Row(MACHINE.run.source, [(0.5,), (torch.tensor(1.0),)]),
    "spliced method": Row(MACHINE.joined.source, [(0.5,), (torch.tensor(1.0),)]),
}


def dynamic_rows() -> dict[str, Any]:
    """Return the rows of test_laws.py, which no import finds."""
    spec = importlib.util.spec_from_file_location("dynamic_laws", Path(__file__).parent / "test_laws.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows: dict[str, Any] = module.ROWS
    return rows


DYNAMIC_ROWS = dynamic_rows()
TRACED = [name for name, row in ROWS.items() if "untraced" not in row.flags]
ACCEPTED_BY_BOTH = [
    name for name in TRACED if not isinstance(ROWS[name].source, MethodType) and name != "splices"
]
"""Spliced functions must be of the language that splices them."""


@pytest.mark.parametrize("name", ROWS)
def test_static_functions_keep_the_laws(name: str) -> None:
    row = ROWS[name]
    call, *others = row.calls(function(row.source))

    check_laws(call, other_calls=others, **row.flags)


@pytest.mark.parametrize("name", ROWS)
def test_staged_static_functions_return_what_eager_ones_return(name: str) -> None:
    row = ROWS[name]

    check_staging(row.calls(function(row.source))[0])


@pytest.mark.parametrize("name", ["line", "vectors", "nested"])
def test_the_laws_hold_in_single_precision(name: str) -> None:
    torch.set_default_dtype(torch.float32)
    row = ROWS[name]
    call, *others = row.calls(function(row.source))

    check_laws(call, other_calls=others, **row.flags, laws=range(1, 14))


@pytest.mark.parametrize("name", ACCEPTED_BY_BOTH)
def test_both_languages_do_the_same(name: str) -> None:
    row = ROWS[name]

    compare(row.calls(static(row.source)), row.calls(gen(row.source)))


def test_both_languages_splice_alike() -> None:
    @gen
    def part(x: Position, scale: float) -> Tensor:
        u = normal(x, scale) @ "u"
        shifted = u + param("shift", 0.3)
        return normal(shifted, 1.0) @ "v"

    @gen
    def deep(x: Position) -> Tensor:
        w = part(x, 0.5) @ inline
        return normal(w, 1.0) @ "w"

    @gen
    def dynamic(x: Position) -> tuple[Tensor, Tensor]:
        start = normal(x, 1.0) @ "start"
        w = deep(start) @ inline
        return w, normal(w + start, 0.5) @ "end"

    compare(ROWS["splices"].calls(static(splices)), ROWS["splices"].calls(dynamic))


@pytest.mark.parametrize("name", DYNAMIC_ROWS)
def test_models_of_the_dynamic_language_that_the_static_one_accepts_do_the_same(name: str) -> None:
    row = DYNAMIC_ROWS[name]
    calls = row.calls()
    source = calls[0].gen_fn.source
    if isinstance(source, MethodType) or row.flags.get("untraced") or "inline" in source.__code__.co_names:
        pytest.skip("untraced, or of the dynamic language by what it calls")
    try:
        made = static(source)
    except StaticSyntaxError:
        pytest.skip("its structure is not static")

    compare([Call(made, call.args, call.kwargs) for call in calls], calls)


def function(source: Any) -> StaticFunction[..., Any]:
    if isinstance(source, MethodType):
        found: StaticFunction[..., Any] = getattr(source.__self__, source.__name__)
        return found
    return static(source)


def compare(static_calls: list[Call[Any]], dynamic_calls: list[Call[Any]]) -> None:
    """Run every operation in both languages from the same seeds, and compare all that they return."""
    first: Any = static_calls[0].gen_fn
    other: Any = dynamic_calls[0].gen_fn
    assert isinstance(first, StaticFunction) and isinstance(other, DynamicFunction)
    donors = [seeded(call.simulate, 7).choices for call in dynamic_calls]
    paths = donors[0].paths()
    some = donors[0].filter(where(lambda path: sum(map(hash_of, path)) % 2 == 0))
    selections = [ALL, NONE, select(*paths[::2]), where(lambda path: len(path) > 1)]
    selections += [~select(path) for path in paths[:1]]
    for operate in operations(static_calls, dynamic_calls, donors, some, paths, selections):
        for seed in range(2):
            with unvisited("ignore"):  # a structure that changes may leave them behind
                mine = seeded(partial(operate, 0), seed)
                theirs = seeded(partial(operate, 1), seed)
            same(mine, theirs)


def operations(
    static_calls: list[Call[Any]],
    dynamic_calls: list[Call[Any]],
    donors: list[ChoiceMap],
    some: ChoiceMap,
    paths: list[Any],
    selections: list[Any],
) -> list[Callable[[int], Any]]:
    calls = (static_calls, dynamic_calls)

    def start(side: int) -> Any:
        return seeded(calls[side][0].simulate, 11)

    found: list[Callable[[int], Any]] = []
    for number in range(len(static_calls)):
        found += [partial(each, calls, start, number) for each in OF_EACH_CALL]
        found.append(partial(assessing, calls, donors[number], number))
    found += [
        lambda side: calls[side][0].generate(some),
        lambda side: start(side).update(some),
        lambda side: start(side).update(donors[0]),
        lambda side: start(side).choice_gradients(),
        lambda side: start(side).update(some).trace.update(some).trace.update(donors[0]),
    ]
    for selection in selections:
        found += [partial(regenerating, start, selection), partial(projecting, start, selection)]
    for path in paths:
        constraint = donors[0].filter(select(path))
        # Code of its own is generated the second time.
        found += [partial(updating, start, constraint)] * 2
        found += [partial(regenerating, start, select(path))] * 2
    return found


Calls = tuple[list[Call[Any]], list[Call[Any]]]
Start = Callable[[int], Any]

OF_EACH_CALL: list[Callable[[Calls, Start, int, int], Any]] = [
    lambda calls, start, number, side: calls[side][number].simulate(),
    lambda calls, start, number, side: calls[side][number].propose(),
    lambda calls, start, number, side: calls[side][number].sample(),
    lambda calls, start, number, side: start(side).update({}, calls[side][number]),
    lambda calls, start, number, side: start(side).update({}, calls[side][number], argdiffs=UNKNOWN),
    lambda calls, start, number, side: start(side).regenerate(NONE, calls[side][number]),
    lambda calls, start, number, side: start(side).regenerate(~select("a", "slope"), calls[side][number]),
]


def assessing(calls: Calls, choices: ChoiceMap, number: int, side: int) -> Any:
    return calls[side][number].assess(choices)


def updating(start: Start, constraints: ChoiceMap, side: int) -> Any:
    return start(side).update(constraints)


def regenerating(start: Start, selection: Selection, side: int) -> Any:
    return start(side).regenerate(selection)


def projecting(start: Start, selection: Selection, side: int) -> Any:
    return start(side).project(selection)


def same(mine: Any, theirs: Any) -> None:
    if hasattr(mine, "discard"):
        same(mine.trace, theirs.trace)
        torch.testing.assert_close(mine.weight, theirs.weight, equal_nan=True, rtol=1e-9, atol=1e-9)
        assert mine.discard == theirs.discard
        # The static language knows more of what did not change.
        assert mine.retdiff is UNCHANGED or mine.retdiff == theirs.retdiff
    elif hasattr(mine, "in_order"):
        assert mine.choices == theirs.choices
        assert mine.choices.paths() == theirs.choices.paths()
        torch.testing.assert_close(mine.score, theirs.score, equal_nan=True, rtol=1e-9, atol=1e-9)
        same(mine.retval, theirs.retval)
        assert all(mine[path] is not None and path in mine for path in mine.choices.paths())
    elif isinstance(mine, ChoiceMap):
        assert mine == theirs
    elif hasattr(mine, "_fields"):
        for one, other in zip(mine, theirs, strict=True):
            same(one, other)
    else:
        for one, other in zip(take_apart(mine).tensors, take_apart(theirs).tensors, strict=True):
            torch.testing.assert_close(one, other, equal_nan=True)


def seeded(operate: Callable[[], Any], seed: int) -> Any:
    torch.manual_seed(seed)
    return operate()


def hash_of(key: object) -> int:
    return sum(map(ord, str(key)))
