"""The laws on trees: over dynamic functions, distributions and other combinators, finite and not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from gen_combinators import Map, Recurse, Switch, deterministic, shared
from gen_core import Call, NotBatchableError, batch, inline, param, verify_hints
from gen_core.testing import check_laws
from gen_distributions import bernoulli, categorical, from_torch, normal, relabelled
from gen_dml import DynamicFunction, gen
from gen_sml import static
from gen_torch.testing import check_staging

Number = Any
"""A tensor or a number."""


@gen
def split(given: tuple[int, Number]) -> tuple[Tensor, list[tuple[int, Number]]]:
    depth, p = given
    x = normal(float(depth), 1.0) @ "x"
    if depth < 3 and bernoulli(p) @ "splits":
        both = bernoulli(0.3) @ ("both", 0)
        return x, [(depth + 1, p)] * (2 if both else 1)
    return x, []


@gen
def noisy_sum(value: Tensor, results: Sequence[Tensor]) -> Tensor:
    return sum(results) + (normal(value, 1.0) @ "noise")


tree = Recurse(split, noisy_sum, 2)
either = Switch(tree, Recurse(split, noisy_sum, 3))


@gen
def coins(given: tuple[int, float]) -> tuple[Tensor, list[tuple[int, float]]]:
    depth, p = given
    splits = bernoulli(p) @ "splits"
    return splits, [(depth - 1, 0.7), (depth - 1, 0.2)] if depth and splits else []


@gen
def agree(value: Tensor, results: Sequence[Tensor]) -> Tensor:
    return bernoulli(0.8 if all(results) == bool(value) else 0.3) @ "agrees"


small = Recurse(coins, agree, 2)


@gen
def constant_input(depth: int) -> tuple[Tensor, list[int]]:
    """How many children there are is a choice that the children do not see."""
    return bernoulli(0.3) @ "value", [0] * int(bernoulli(0.6) @ "n") if depth else []


@gen
def first_or_own(value: Tensor, results: Sequence[Tensor]) -> Tensor:
    return results[0] if results else value


quiet = Recurse(constant_input, first_or_own, 3)


@gen
def link(position: Number) -> tuple[Tensor, list[Tensor]]:
    step = normal(position, 0.5) @ "step"
    return step, [step] if bernoulli(0.6) @ "goes" else []


@gen
def last(value: Tensor, results: Sequence[Tensor]) -> Tensor:
    return results[0] if results else value


chain = Recurse(link, last, 1)

grammar = relabelled(
    categorical, [("word", ()), ("pair", ((1.0, 0.0, 0.0), (0.5, 0.0, 0.5))), ("end", ((1.0, 0.0, 0.0),))]
)
"""A distribution as the kernel: a choice is a pair of a value and the inputs of the children."""


@gen
def length(value: str, results: Sequence[int]) -> int:
    return sum(results) + len(value)


phrases = Recurse(grammar, length, 2)


def _around(value: Tensor, results: Sequence[Tensor]) -> Normal:
    return Normal(value + sum(results), 1.0)


@gen
def halved(given: tuple[int, Number]) -> tuple[Tensor, list[tuple[int, Number]]]:
    depth, size = given
    x = normal(size, param("scale", 1.5)) @ "x"
    return x, [(depth - 1, 0.3 * x), (depth - 1, 0.6 * x)] if depth else []


fixed = Recurse(halved, from_torch(_around, is_discrete=False, event_dim=0), 2)
"""Its structure is fixed, so that it batches; a distribution aggregates."""


@deterministic
def halves(size: Tensor) -> tuple[Tensor, list[Tensor]]:
    return size, [] if size < 1 else [size / 2, size / 3]


plain_sum = deterministic(lambda value, results: value + sum(results))

without_choices = Recurse(halves, plain_sum, 2)


@gen
def subtree(given: float) -> tuple[Tensor, list[float]]:
    return tree((2, given)) @ "inner", [given / 2] if given > 0.3 else []


trees_of_trees = Recurse(subtree, noisy_sum, 1)


@gen
def spliced(given: float) -> tuple[Tensor, list[float]]:
    return subtree(given) @ inline


@gen
def within(p: Number, same: bool) -> Tensor:
    """Makes the tree where it is called, and hands on how its result changed."""
    mine = Recurse(split, noisy_sum, 2)
    first = mine((2, p)) @ "first"
    second = tree((2, 0.5), 1 if same else 4) @ ("second", 0)
    third = tree((3, 0.5)) @ "third"
    return normal(first + second - third, 1.0) @ "end"


@static
def static_link(depth: int) -> tuple[Tensor, list[int]]:
    x = normal(0.5, 1.0) @ "x"
    more = bernoulli(0.6) @ "more"
    return x, [depth - 1] * (1 + int(more)) if depth else []


@static
def static_sum(value: Tensor, results: Sequence[Tensor]) -> Tensor:
    noise = normal(value, 1.0) @ "noise"
    return noise + sum(results)


static_tree = Recurse(static_link, static_sum, 2)


@gen
def mapped(depth: int) -> tuple[Tensor, list[int]]:
    xs = Map(normal)([0.5, float(depth)], shared(1.0)) @ "xs"
    return xs[0], [depth - 1] * depth


tree_of_maps = Recurse(mapped, noisy_sum, 2)


@gen
def in_a_callee(p: float) -> tuple[Tensor, list[float]]:
    untraced = bernoulli(0.4).sample()
    return bernoulli(0.7 if untraced else p) @ "x", [0.5] if p < 0.5 else []


half_hidden = Recurse(in_a_callee, agree, 1)


@dataclass
class Row:
    """Calls of one function, and what `check_laws` is told of it."""

    calls: Callable[[], list[Call[Any]]]
    flags: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "tree": Row(lambda: [tree((0, 0.6)), tree((1, torch.tensor(0.7))), tree((0, 0.2)), tree((2, 0.6))]),
    "other_roots": Row(lambda: [tree((1, 0.6)), tree((1, 0.6), 1), tree((2, 0.6), 3)]),
    "small": Row(lambda: [small((1, 0.6)), small((0, 0.6))], {"finite": True}),
    "quiet_roots": Row(lambda: [quiet(1), quiet(1, 1), quiet(0, 4)], {"finite": True}),
    "quiet": Row(lambda: [quiet(1), quiet(0)], {"finite": True}),
    "chain": Row(lambda: [chain(0.5), chain(torch.tensor(1.5))]),
    "phrases": Row(
        lambda: [phrases((0.5, 0.3, 0.2)), phrases((0.1, 0.8, 0.1)), phrases((1.0, 0.0, 0.0), 2)],
        {"finite": True, "differentiable": False},
    ),
    "fixed": Row(lambda: [fixed((1, 1.0)), fixed((1, -0.5)), fixed((0, 0.5), 2)]),
    "without_choices": Row(lambda: [without_choices(torch.tensor(3.1)), without_choices(torch.tensor(9.4))]),
    "trees_of_trees": Row(lambda: [trees_of_trees(0.5), trees_of_trees(0.1)]),
    "spliced": Row(lambda: [Recurse(spliced, noisy_sum, 1)(0.2)]),
    "within": Row(lambda: [within(0.5, True), within(0.7, True), within(0.5, False)]),
    "static": Row(lambda: [static_tree(2), static_tree(1)]),
    "tree_of_maps": Row(lambda: [tree_of_maps(2), tree_of_maps(1)]),
    "map_of_trees": Row(lambda: [Map(tree)([(1, 0.5), (2, 0.4)]), Map(tree)([(1, 0.5)])]),
    "switch_of_trees": Row(lambda: [either(0, (1, 0.5)), either(1, (1, 0.5))]),
    "half_hidden": Row(lambda: [half_hidden(0.6), half_hidden(0.7)], {"finite": True, "untraced": True}),
}


@pytest.mark.parametrize("name", ROWS)
def test_trees_keep_the_laws(name: str) -> None:
    row = ROWS[name]
    call, *others = row.calls()

    check_laws(call, other_calls=others, **row.flags)


@pytest.mark.parametrize("name", ["tree", "small", "chain", "other_roots"])
def test_trees_within_dynamic_functions_keep_the_laws(name: str) -> None:
    row = ROWS[name]
    call, *others = map(_calling(row.calls()[0]), row.calls())

    check_laws(call, other_calls=others, **row.flags, laws=range(1, 14))


@pytest.mark.parametrize("name", ["tree", "quiet", "fixed", "within"])
def test_what_trees_say_of_changes_is_true(name: str) -> None:
    row = ROWS[name]
    call, *others = row.calls()

    with verify_hints():
        check_laws(call, other_calls=others, **row.flags, laws=[1, 3, 8])


@pytest.mark.parametrize("name", ["tree", "fixed"])
def test_the_laws_of_trees_hold_in_single_precision(name: str) -> None:
    torch.set_default_dtype(torch.float32)
    row = ROWS[name]
    call, *others = row.calls()

    check_laws(call, other_calls=others, **row.flags, laws=range(1, 14))


@pytest.mark.parametrize("name", ["fixed", "tree", "without_choices"])
def test_staged_trees_return_what_eager_ones_return(name: str) -> None:
    check_staging(ROWS[name].calls()[0])


def test_a_tree_of_fixed_structure_batches() -> None:
    traces = batch(lambda size: fixed.simulate((2, size)))(torch.arange(5.0))

    scores = [fixed.assess(trace.choices, (2, float(i))).score for i, trace in enumerate(traces)]
    assert traces.score.shape == (5,)
    assert torch.allclose(traces.score, torch.stack(scores))


def test_a_tree_of_random_structure_says_why_it_does_not_batch() -> None:
    with pytest.raises(
        NotBatchableError, match=r"split \(.*\), at address \(0, 'production'\), cannot be batched"
    ):
        batch(lambda: tree.simulate((0, 0.5)), size=3)()


def _calling(first: Call[Any]) -> Callable[[Call[Any]], Call[Any]]:
    def body(*args: Any) -> Any:
        return first.gen_fn(*args) @ "callee"

    caller = DynamicFunction(body, first.gen_fn.signature)
    return lambda call: Call(caller, call.args, call.kwargs)
