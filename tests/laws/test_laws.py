"""The laws on functions of the dynamic language: one row each, by itself and called by another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Call, Distribution, GenerativeFunction, inline, param
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
    uniform_discrete,
)
from gen_dml import DynamicFunction, gen
from gen_torch.testing import check_staging

Position = Any
"""A tensor or a number."""


@gen
def line(xs: list[float], noise: float = 0.5) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    intercept = normal(0.0, 2.0) @ "intercept"
    for i, x in enumerate(xs):
        normal(slope * x + intercept, noise) @ ("y", i)
    return slope


@gen
def random_length(p: float) -> int:
    n = 0
    while bernoulli(p) @ ("go", n):
        normal(float(n), 1.0) @ ("x", n)
        n += 1
    return n


@gen
def tree(depth: int, p: float) -> Tensor:
    value = normal(0.0, 1.0 + depth) @ "value"
    if depth < 3 and bernoulli(p) @ "splits":
        left = tree(depth + 1, p) @ "left"
        right = tree(depth + 1, p) @ ("right", "side")
        return value + left - right
    return value


@gen
def two_branches(first: bool) -> tuple[Tensor, Tensor]:
    x = bernoulli(0.3 if first else 0.7) @ "x"
    if first:
        return x, bernoulli(0.6 if x else 0.2) @ "y"
    return x, bernoulli(0.9 if x else 0.4) @ "z"


@gen
def random_branch(p: float) -> object:
    if bernoulli(p) @ "wide":
        k = categorical([0.2, 0.5, 0.3]) @ ("k", 0)
        return bernoulli(0.1 + 0.2 * int(k)) @ ("k", 1)
    return uniform_discrete(2, 4) @ "j"


@gen
def hidden_markov(length: int, stay: float) -> list[Tensor]:
    state = bernoulli(0.5) @ ("state", 0)
    states = [state]
    for t in range(1, length):
        state = bernoulli(stay if state else 1 - stay) @ ("state", t)
        bernoulli(0.8 if state else 0.3) @ ("seen", t)
        states.append(state)
    return states


@gen
def inner(mean: Position, scale: Position) -> Tensor:
    x = normal(mean, scale) @ "x"
    normal(x, 1.0) @ "y"
    return x


@gen
def middle(mean: Position) -> tuple[Tensor, Tensor]:
    a = inner(mean, 1.0) @ "a"
    b = inner(a, 0.5) @ ("b", 1)
    return a, b


@gen
def nested(mean: Position) -> Tensor:
    pair = middle(mean) @ "first"
    again = middle(pair[0]) @ "second"
    normal(again[1], 0.3) @ "end"
    return again[1]


@gen
def steps(n: int, x: Position) -> Position:
    if not n:
        return x
    return steps(n - 1, normal(x, 1.0) @ ("step", n)) @ inline


@gen
def spliced(n: int) -> Position:
    end = steps(n, 0.5) @ inline
    normal(end, 1.0) @ "seen"
    return end


@gen
def empty(x: float) -> float:
    return 2 * x


@gen
def coin(p: float) -> Tensor:
    return bernoulli(p) @ "side"


@gen
def pair(p: float) -> Tensor:
    bernoulli(p) @ "side"
    return bernoulli(1 - p) @ "other"


@gen
def changing_callee(p: float) -> object:
    callees: list[GenerativeFunction[[float], Tensor]] = [coin, pair, bernoulli]
    callee = callees[int(categorical([p, 0.5, 0.5 - p]) @ "which")]
    first = callee(0.3) @ "it"
    return first, bernoulli(0.9 if first else 0.2) @ "end"


@gen
def changing_continuous(p: float) -> Tensor:
    if bernoulli(p) @ "is_plain":
        x = normal(0.0, 1.0) @ "it"
    else:
        x = inner(0.5, 2.0) @ "it"
    return normal(x, 1.0) @ "end"


@gen
def changing_distribution(wide: bool) -> Tensor:
    if wide:
        return normal(0.0, 3.0) @ "x"
    return exponential(1.5) @ "x"


@gen
def same_shape_callees(first: bool) -> Tensor:
    if first:
        return coin(0.3) @ "it"
    return pair(0.6) @ "it"


@gen
def untraced_finite(p: float) -> Tensor:
    hidden = bernoulli(p).sample()
    x = bernoulli(0.8 if hidden else 0.3) @ "x"
    if x:
        bernoulli(0.5 if hidden else 0.9) @ "y"
    return x


@gen
def untraced_structure(p: float) -> Tensor:
    x = bernoulli(p) @ "x"
    if bernoulli(0.4).sample():
        bernoulli(0.7 if x else 0.2) @ "y"
    return x


@gen
def untraced_in_a_callee(p: float) -> Tensor:
    x = bernoulli(p) @ "x"
    untraced_finite(0.5 if x else 0.2) @ "sub"
    return x


@gen
def untraced(scale: float) -> Tensor:
    shift = normal(0.0, scale).sample()
    return normal(shift, 1.0) @ "x"


@gen
def with_params(x: Position) -> dict[str, Any]:
    weights = param("weights", torch.tensor([0.3, -0.2]))
    spread = param("spread", 1.5, constraints.positive)
    z = normal(weights * x, spread) @ "z"
    k = poisson(weights.exp().sum()) @ "k"
    return {"z": z, "parts": (z * weights, None), "k": k}


@gen
def params_through_callees(x: Position, offsets: list[float]) -> tuple[Tensor, Tensor]:
    bias = param("bias", 0.1)
    made = with_params(x + bias) @ "sub"
    for i, offset in enumerate(offsets):
        normal(bias * offset, param("noise", 0.7, constraints.interval(0.1, 2.0))) @ i
    with_bias = spliced_param(bias) @ inline
    return made["z"], with_bias


@gen
def spliced_param(bias: Tensor) -> Tensor:
    return normal(param("loc", 0.0) + bias, 1.0) @ "spliced"


class Machine:
    def __init__(self, noise: float) -> None:
        self.noise = noise

    @gen
    def step(self, x: Position, gain: float = 0.9) -> Tensor:
        return normal(gain * x, self.noise * param("factor", 1.2)) @ "next"

    @gen
    def run(self, x: Position) -> Tensor:
        x = self.step(x) @ "one"
        return self.step(x, gain=0.5) @ "two"


MACHINE = Machine(0.4)


@gen
def many_kinds_of_arguments(
    a: Position, /, b: float = 2.0, *rest: float, scale: float = 1.0, name: str = "x"
) -> Tensor:
    x = normal(a + b, scale) @ name
    for i, offset in enumerate(rest):
        normal(x + offset, scale) @ ("rest", i)
    return x


@dataclass(frozen=True)
class State:
    position: Tensor
    label: str
    history: list[Tensor] = field(default_factory=list)


class Move(NamedTuple):
    speed: Position
    steps: int


@gen
def structured(move: Move, options: dict[str, Any]) -> State:
    speed = normal(move.speed, options["scale"]) @ "speed"
    positions = [normal(speed * i, 1.0) @ ("position", i) for i in range(move.steps)]
    return State(positions[-1], options["label"], positions)


@gen
def passes_a_state_on(length: int) -> State:
    state = State(torch.zeros(()), "start")
    for t in range(length):
        state = moved(state) @ ("moved", t)
    return state


@gen
def moved(state: State) -> State:
    if bernoulli(0.3) @ "jumps":
        return State(normal(state.position, 5.0) @ "to", "jumped")
    return state


@gen
def higher_order(kernel: GenerativeFunction[..., Tensor], prior: Distribution[..., Tensor], n: int) -> Tensor:
    x = prior(0.0, 1.0) @ "start"
    for t in range(n):
        x = kernel(x, 0.5) @ ("t", t)
    return x


@gen
def takes_a_call(call: Call[Tensor]) -> Tensor:
    return normal(call @ "called", 1.0) @ "seen"


@gen
def nested_functions(n: int, drift: float) -> Tensor:
    @gen
    def kernel(x: Position) -> Tensor:
        return normal(x + drift, 1.0) @ "x"

    x: Position = 0.0
    for t in range(n):
        x = kernel(x) @ ("chain", t)
    return torch.as_tensor(x)


@gen
def vectors(n: int, loc: Tensor) -> Tensor:
    weights = dirichlet(torch.ones(3)) @ "weights"
    center = multivariate_normal(loc, torch.eye(2)) @ "center"
    points = normal(center.expand(n, 2), 0.5) @ "points"
    labels = categorical(weights.expand(n, 3)) @ "labels"
    beta(torch.tensor([1.5, 2.0]), 3.0) @ ("deep", "down", 0)
    return points[labels == 0].sum() + points.mean()


@gen
def mixed_discrete(probs: Tensor) -> Tensor:
    flags = bernoulli(probs) @ "flags"
    return bernoulli(0.9 if bool(flags.all()) else 0.4) @ ("end", -1)


@gen
def listed(n: int) -> list[Tensor]:
    return [normal(0.0, 1.0) @ i for i in range(n)]


@gen
def summed(values: list[Tensor], options: dict[str, float]) -> Tensor:
    return normal(torch.stack(values).sum(), options["scale"]) @ "sum"


@gen
def passes_lists_on(n: int, options: dict[str, float]) -> Tensor:
    first = listed(n) @ "first"
    second = listed(n) @ "second"
    chosen = first if bernoulli(0.5) @ "picks_first" else second
    return summed(chosen, options) @ "total"


@dataclass(frozen=True)
class Row:
    """Calls of one function, the first of which starts, and what `check_laws` is told of it."""

    calls: Callable[[], list[Call[Any]]]
    flags: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "line": Row(lambda: [line([1.0, 2.0, 3.0]), line([1.0, 2.0]), line([0.5, 2.0, 3.0, 4.0], 2.0)]),
    "random_length": Row(lambda: [random_length(0.5), random_length(0.7)]),
    "tree": Row(lambda: [tree(0, 0.6), tree(1, 0.4)]),
    "two_branches": Row(lambda: [two_branches(True), two_branches(False)], {"finite": True}),
    "random_branch": Row(lambda: [random_branch(0.4), random_branch(0.9)], {"finite": True}),
    "hidden_markov": Row(lambda: [hidden_markov(2, 0.7), hidden_markov(3, 0.6)], {"finite": True}),
    "nested": Row(lambda: [nested(0.5), nested(torch.tensor(0.5))]),
    "spliced": Row(lambda: [spliced(3), spliced(1)]),
    "empty": Row(lambda: [empty(1.0), empty(2.0)], {"finite": True}),
    "changing_callee": Row(lambda: [changing_callee(0.2), changing_callee(0.4)], {"finite": True}),
    "changing_continuous": Row(lambda: [changing_continuous(0.5), changing_continuous(0.9)]),
    "changing_distribution": Row(lambda: [changing_distribution(False), changing_distribution(True)]),
    "same_shape_callees": Row(
        lambda: [same_shape_callees(True), same_shape_callees(False)], {"finite": True}
    ),
    "untraced_finite": Row(
        lambda: [untraced_finite(0.3), untraced_finite(0.6)], {"finite": True, "untraced": True}
    ),
    "untraced_structure": Row(
        lambda: [untraced_structure(0.3), untraced_structure(0.6)], {"finite": True, "untraced": True}
    ),
    "untraced_in_a_callee": Row(
        lambda: [untraced_in_a_callee(0.3), untraced_in_a_callee(0.6)], {"finite": True, "untraced": True}
    ),
    "untraced": Row(lambda: [untraced(1.0), untraced(0.5)], {"untraced": True}),
    "with_params": Row(lambda: [with_params(0.3), with_params(torch.tensor(1.0))]),
    "params_through_callees": Row(
        lambda: [params_through_callees(torch.tensor(0.3), [1.0, 2.0]), params_through_callees(0.7, [])]
    ),
    "method": Row(lambda: [MACHINE.run(0.5), MACHINE.run(torch.tensor(1.0))]),
    "many_kinds_of_arguments": Row(
        lambda: [
            many_kinds_of_arguments(0.5, 1.0, 0.1, 0.2, scale=2.0),
            many_kinds_of_arguments(0.5),
            many_kinds_of_arguments(1.5, 1.0, 0.1, name="z"),
        ]
    ),
    "structured": Row(
        lambda: [
            structured(Move(torch.tensor(0.5), 2), {"scale": 1.0, "label": "a"}),
            structured(Move(0.7, 3), {"scale": torch.tensor(2.0), "label": "b"}),
        ]
    ),
    "passes_a_state_on": Row(lambda: [passes_a_state_on(3), passes_a_state_on(5)]),
    "passes_lists_on": Row(
        lambda: [
            passes_lists_on(2, {"scale": 1.0}),
            passes_lists_on(2, {"scale": 2.0}),
            passes_lists_on(1, {"scale": 1.0}),
        ]
    ),
    "higher_order": Row(lambda: [higher_order(inner, normal, 2), higher_order(normal, normal, 3)]),
    "takes_a_call": Row(lambda: [takes_a_call(inner(0.0, 1.0)), takes_a_call(normal(1.0, 2.0))]),
    "nested_functions": Row(
        lambda: [nested_functions(2, 0.5), nested_functions(4, 0.5), nested_functions(2, 0.1)]
    ),
    "vectors": Row(lambda: [vectors(4, torch.zeros(2)), vectors(4, torch.ones(2))]),
    "mixed_discrete": Row(
        lambda: [mixed_discrete(torch.tensor([0.3, 0.5])), mixed_discrete(torch.tensor([0.8, 0.1]))],
        {"finite": True},
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_dynamic_functions_keep_the_laws(name: str) -> None:
    row = ROWS[name]
    call, *others = row.calls()

    check_laws(call, other_calls=others, **row.flags)


@pytest.mark.parametrize("name", ROWS)
def test_callees_of_dynamic_functions_keep_the_laws(name: str) -> None:
    row = ROWS[name]
    call, *others = map(calling(row.calls()[0].gen_fn), row.calls())

    check_laws(call, other_calls=others, **row.flags, laws=range(1, 14))


@pytest.mark.parametrize("name", ["line", "tree", "vectors", "random_branch"])
def test_the_laws_hold_in_single_precision(name: str) -> None:
    torch.set_default_dtype(torch.float32)
    row = ROWS[name]
    call, *others = row.calls()

    check_laws(call, other_calls=others, **row.flags, laws=range(1, 14))


def calling(callee: GenerativeFunction[..., Any]) -> Callable[[Call[Any]], Call[Any]]:
    """Return what turns calls of `callee` into calls of a dynamic function that calls it."""

    def body(*args: Any, **kwargs: Any) -> Any:
        return callee(*args, **kwargs) @ "callee"

    caller = DynamicFunction(body, callee.signature)
    return lambda call: Call(caller, call.args, call.kwargs)


@pytest.mark.parametrize("name", ROWS)
def test_staged_dynamic_functions_return_what_eager_ones_return(name: str) -> None:
    row = ROWS[name]

    check_staging(row.calls()[0], differentiable=row.flags.get("differentiable", True))
