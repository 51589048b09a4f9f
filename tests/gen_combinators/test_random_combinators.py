"""Random nestings of combinators and random edits: every weight is what can be computed afresh."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gen_combinators import (
    Map,
    Mask,
    Masked,
    Recurse,
    Switch,
    Unfold,
    batching,
    call_at,
    choice_at,
    map_args,
    mix,
    or_else,
    repeat,
    unfold_parallel,
    unfold_storage,
)
from gen_core import ChoiceMap, GenerativeFunction, Trace, Updated, unvisited, verify_hints
from gen_core.structure import take_apart
from gen_core.testing.attempts import exactly
from gen_distributions import bernoulli
from gen_dml import gen
from gen_sml import static

Function = GenerativeFunction[..., Any]
"""Takes a probability; what it returns differs."""


def flag(p: float) -> Tensor:
    x = bernoulli(p) @ "x"
    bernoulli(torch.where(x, 0.6, 0.2)) @ ("below", "y")
    return x


def other(p: float) -> Tensor:
    x = bernoulli(1.0 - p) @ "x"
    return bernoulli(torch.where(x, 0.9, 0.4)) @ "z"


@gen
def branching(p: float) -> Tensor | None:
    if bernoulli(p) @ "x":
        return bernoulli(0.3) @ "z"
    return None


def at_a_key(p: float) -> tuple[str, float]:
    return "x" if p < 0.5 else "w", p


LEAVES: list[Function] = [
    gen(flag),
    gen(other),
    static(flag),
    static(other),
    branching,
    map_args(choice_at(bernoulli), at_a_key),
]


def count(p: float) -> int:
    """Return how many: from 1 to 4."""
    return 1 + int(3.9 * p)


def is_true(value: object) -> bool:
    """Return something that depends on what a function returned, whatever that is."""
    if isinstance(value, Masked):
        return is_true(value.or_else(None))
    if isinstance(value, Sequence):
        return any(map(is_true, value))
    return bool(value)


def mapped(f: Function, g: Function) -> Function:
    return map_args(Map(f), lambda p: ([p / (i + 1) for i in range(count(p))],))


def unfolded(f: Function, g: Function) -> Function:
    def arguments(t: int, state: object, p: float) -> tuple[float]:
        return (p if is_true(state) else 0.5 * p,)

    step: Function = map_args(f, arguments)
    return map_args(Unfold(step), lambda p: (count(p), False, round(p, 1)))


def switched(f: Function, g: Function) -> Function:
    return map_args(Switch(f, g), lambda p: (int(p > 0.5), p))


def masked(f: Function, g: Function) -> Function:
    return map_args(Mask(f), lambda p: (p > 0.3, p))


def mixed(f: Function, g: Function) -> Function:
    return map_args(mix(f, g), lambda p: ([p, 1.0 - p], (p,), (0.5,)))


def keyed(f: Function, g: Function) -> Function:
    return map_args(call_at(f), lambda p: ("low" if p < 0.5 else ("high", 1), p))


def either(f: Function, g: Function) -> Function:
    return map_args(or_else(f, g), lambda p: (p > 0.4, (p,), (1.0 - p,)))


def repeated(f: Function, g: Function) -> Function:
    return repeat(f, 2)


def in_turn(f: Function, g: Function) -> Function:
    @gen
    def caller(p: float) -> Any:
        first = f(p) @ "first"
        return g(0.3 if is_true(first) else 0.7) @ "second"

    return caller


def in_turn_statically(f: Function, g: Function) -> Function:
    @static
    def caller(p: float) -> Any:
        first = f(p) @ "first"
        second = g(0.3 if is_true(first) else 0.7) @ "second"
        return second, g(0.5) @ "third"

    return caller


def recursive(f: Function, g: Function) -> Function:
    @gen
    def split(given: tuple[int, float]) -> Any:
        depth, p = given
        value = f(p) @ "value"
        return is_true(value), [(depth - 1, 0.5 * p)] * (1 + is_true(value)) if depth else []

    @gen
    def agree(value: bool, results: Sequence[Tensor]) -> Tensor:
        return bernoulli(0.8 if all(results) == value else 0.3) @ "x"

    return map_args(Recurse(split, agree, 2), lambda p: ((1, p),))


COMBINATORS: list[Callable[[Function, Function], Function]] = [
    mapped,
    unfolded,
    switched,
    masked,
    mixed,
    keyed,
    either,
    repeated,
    in_turn,
    in_turn_statically,
    recursive,
]


def nested(depth: int) -> st.SearchStrategy[Function]:
    """Return functions of combinators up to so deep."""
    if not depth:
        return st.sampled_from(LEAVES)
    below = nested(depth - 1)
    return st.builds(lambda combinator, f, g: combinator(f, g), st.sampled_from(COMBINATORS), below, below)


class Step(NamedTuple):
    """An edit: to which argument, and which choices are asked for."""

    is_update: bool
    p: float
    mask: int

    def some(self, choices: ChoiceMap) -> list[Any]:
        """Return some addresses of choices."""
        paths = choices.paths()
        return [path for i, path in enumerate(paths) if self.mask >> (i % 10) & 1]


PROBABILITIES = st.sampled_from([0.1, 0.2, 0.35, 0.45, 0.6, 0.61, 0.8, 0.95])
STEPS = st.builds(Step, st.booleans(), PROBABILITIES, st.integers(0, 2**10 - 1))
SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@contextmanager
def storage(fewest: int) -> Iterator[None]:
    """Hold elements and steps in columns where there are so many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "FEWEST", fewest)
        patch.setattr(unfold_storage, "LONG", fewest)
        patch.setattr(unfold_parallel, "MANY", fewest)
        yield


@SETTINGS
@given(nested(2), PROBABILITIES, st.lists(STEPS, min_size=1, max_size=4), st.sampled_from([1, 2, 1000]))
def test_weights_follow_from_project_and_scores_from_assess(
    gen_fn: Function, p: float, steps: list[Step], fewest: int
) -> None:
    torch.manual_seed(0)
    with storage(fewest), unvisited("ignore"), verify_hints():
        trace = gen_fn.simulate(p)
        for step in steps:
            trace = edited(trace, step)


@SETTINGS
@given(nested(2), PROBABILITIES, st.lists(STEPS, min_size=1, max_size=4))
def test_columns_and_single_traces_give_the_same(gen_fn: Function, p: float, steps: list[Step]) -> None:
    torch.manual_seed(0)
    with unvisited("ignore"):
        targets = [(step.p, gen_fn.simulate(step.p).choices) for step in steps]
        start = gen_fn.simulate(p).choices
        with storage(1000):
            loop = gen_fn.generate(start, p)
        with storage(1):
            columns = gen_fn.generate(start, p)
        one, other = loop.trace, columns.trace
        same_trace(one, other)
        for argument, choices in targets:
            with storage(1000):
                mine = one.update(choices, gen_fn(argument))
            with storage(1):
                theirs = other.update(choices, gen_fn(argument))
            torch.testing.assert_close(mine.weight, theirs.weight, rtol=1e-4, atol=1e-4)
            assert mine.discard == theirs.discard
            one, other = mine.trace, theirs.trace
            same_trace(one, other)


def edited(trace: Trace[Any], step: Step) -> Trace[Any]:
    """Edit a trace, check the edit, and return its trace."""
    call = trace.gen_fn(step.p)
    if step.is_update:
        donor = call.simulate().choices
        constraints = donor.filter(exactly(step.some(donor)))
        result = trace.update(constraints, call)
        expected = updated_weight(trace, result, constraints)
    else:
        some = step.some(trace.choices)
        result = trace.regenerate(exactly(some), call)
        expected = regenerated_weight(trace, result, some)
    new = result.trace
    assert float(result.weight) == pytest.approx(float(expected), abs=1e-4)
    score, retval = new.call.assess(new.choices)
    assert float(score) == pytest.approx(float(new.score), abs=1e-4)
    same_value(retval, new.retval)
    return new


def updated_weight(old: Trace[Any], result: Updated[Any], constraints: ChoiceMap) -> Tensor:
    known = [*old.choices.paths(), *constraints.paths()]
    return result.trace.project(exactly(known)) - old.score


def regenerated_weight(old: Trace[Any], result: Updated[Any], selected: list[Any]) -> Tensor:
    outside = [path for path in old.choices.paths() if path not in selected]
    outside_new = [path for path in result.trace.choices.paths() if path not in selected]
    return result.trace.project(exactly(outside)) - old.project(exactly(outside_new))


def same_trace(one: Trace[Any], other: Trace[Any]) -> None:
    assert one.choices == other.choices
    torch.testing.assert_close(one.score, other.score, rtol=1e-4, atol=1e-4)
    same_value(one.retval, other.retval)


def same_value(one: Any, other: Any) -> None:
    if isinstance(one, Sequence):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            same_value(mine, theirs)
    else:
        for mine, theirs in zip(take_apart(one).tensors, take_apart(other).tensors, strict=True):
            assert torch.equal(mine, theirs)
