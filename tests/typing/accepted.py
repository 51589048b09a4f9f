"""Programs that type checkers accept, with the types that they give to every part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, assert_type

import torch
from torch import Tensor

from gen_combinators import (
    CustomDeterministic,
    CustomGradient,
    Map,
    Mask,
    Masked,
    Recurse,
    Scan,
    Switch,
    Unfold,
    Vector,
    call_at,
    choice_at,
    deterministic,
    dimap,
    map_args,
    map_retval,
    mix,
    or_else,
    repeat,
    shared,
    with_gradient,
)
from gen_core import (
    ALL,
    ANY,
    NONE,
    UNCHANGED,
    UNKNOWN,
    ArgDiffs,
    Call,
    ChoiceMap,
    Diff,
    Distribution,
    GenerativeFunction,
    IntDiff,
    Key,
    Selection,
    Trace,
    choicemap,
    load,
    save,
    select,
    selection_of,
    where,
)
from gen_core.hookspecs import gen_combinators, gen_distributions, gen_edits, implements
from gen_distributions import bernoulli, categorical, from_torch, normal, relabelled
from gen_dml import DynamicFunction, gen, inline, param
from gen_inflib import (
    Chain,
    MetropolisHastingsInfo,
    Weighted,
    importance_resampling,
    importance_sampling,
    metropolis_hastings,
    run_chain,
)
from gen_sml import Graph, GraphBuilder, StaticFunction, Variable, parse, static, static_function

SLOPE = Key[Tensor]("slope")


@gen
def line(xs: Sequence[float], scale: float = 0.1) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    assert_type(slope, Tensor)
    for i, x in enumerate(xs):
        normal(slope * x, scale) @ ("y", i)
        y = normal(loc=slope * x, scale=scale) @ ("z", i)
        assert_type(y, Tensor)
    return slope


@gen
def model(xs: Sequence[float], *, strict: bool = False) -> tuple[Tensor, str]:
    slope = line(xs) @ "line"
    assert_type(slope, Tensor)
    shift = line(xs, scale=0.2) @ inline
    assert_type(shift, Tensor)
    if bernoulli(0.5) @ "coin":
        assert_type(param("mean", 0.0), Tensor)
    label = relabelled(categorical, ["a", "b"])([0.5, 0.5]) @ "label"
    assert_type(label, str)
    return slope, label


@gen
def recursive(depth: int) -> int:
    if bernoulli(0.5) @ "stop":
        return depth
    deeper = recursive(depth + 1) @ "deeper"
    assert_type(deeper, int)
    return deeper


class Regression:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    @gen
    def predict(self, x: float) -> Tensor:
        return normal(x, self.scale) @ "y"


# Functions and calls.

assert_type(normal(0.0, 1.0), Call[Tensor])
assert_type(line([1.0]), Call[Tensor])
assert_type(model([1.0], strict=True), Call[tuple[Tensor, str]])
assert_type(Regression(1.0).predict(0.5), Call[Tensor])
assert_type(line([1.0]).sample(), Tensor)
assert_type(normal.sample(0.0, torch.ones(3)), Tensor)
assert_type(normal.log_prob(torch.ones(3), 0.0, 1.0), Tensor)

as_interface: GenerativeFunction[[Sequence[float], float], Tensor] = line
wider: GenerativeFunction[..., object] = line
covariant: Call[object] = line([1.0])
as_callable: Callable[[Sequence[float]], Call[Tensor]] = line
as_dynamic: DynamicFunction[..., Tensor] = line

# The operations.

trace = model.simulate([1.0, 2.0])
assert_type(trace, Trace[tuple[Tensor, str]])
assert_type(trace.retval, tuple[Tensor, str])
assert_type(trace.score, Tensor)
assert_type(trace.choices, ChoiceMap)
assert_type(trace["line", "slope"], Any)
assert_type(trace[SLOPE], Tensor)
assert_type(trace.choices[SLOPE], Tensor)
assert_type(trace.choices.get(SLOPE), Tensor | None)
wider_trace: Trace[object] = trace

generated = line.generate({"slope": 1.0, ("y", 0): torch.tensor(2.0)}, [1.0], scale=0.5)
assert_type(generated.trace, Trace[Tensor])
assert_type(generated.weight, Tensor)
_, weight = line.generate({}, [1.0])
assert_type(weight, Tensor)
assert_type(line.assess({"slope": 1.0}, [1.0]).retval, Tensor)
assert_type(line([1.0]).propose().choices, ChoiceMap)

updated = trace.update({"line": {"slope": 1.0}}, model([1.0]), argdiffs={"xs": UNKNOWN, "strict": UNCHANGED})
assert_type(updated.trace, Trace[tuple[Tensor, str]])
assert_type(updated.discard, ChoiceMap)
assert_type(updated.retdiff, Diff)
assert_type(trace.regenerate(select("slope"), argdiffs=UNKNOWN).trace.retval[1], str)
assert_type(trace.project(ALL - NONE), Tensor)
assert_type(trace.choice_gradients(select("slope")).gradients, ChoiceMap)
assert_type(IntDiff(2).difference, int)

# Choices and selections.

flat: dict[tuple[str, int], Tensor] = {("y", 0): torch.zeros(())}
assert_type(choicemap(flat), ChoiceMap)
assert_type(choicemap({"a": {"b": 1.0}, SLOPE: torch.ones(())}), ChoiceMap)
assert_type(choicemap({torch.tensor(1): 1.0}), ChoiceMap)
selection = select("a", ("ys", ANY, "x"), SLOPE) | ~selection_of({"b": 1.0}) & where(
    lambda path: len(path) > 1
)
assert_type(selection, Selection)
assert_type("a" in selection, bool)
save(trace, "trace.gen")
assert_type(load("trace.gen"), Trace[Any] | ChoiceMap)

# Distributions.

torch_normal = from_torch(torch.distributions.Normal)
assert_type(torch_normal(0.0, scale=1.0), Call[Tensor])
weather = relabelled(categorical, ["sun", "rain"])
assert_type(weather([0.3, 0.7]), Call[str])


@implements(gen_distributions)
def distributions() -> Mapping[str, Distribution[..., Any]]:
    return {"weather": weather}


@implements(gen_combinators)
def combinators() -> Mapping[str, Callable[..., GenerativeFunction[..., Any]]]:
    return {}


@implements(gen_edits)
def edits() -> Mapping[tuple[type[Any], str], Callable[..., Any]]:
    return {}


# Inference.


@gen
def guess(ys: Sequence[float]) -> None:
    normal(ys[0], 1.0) @ "slope"


@gen
def walk(current: Trace[Tensor], width: float) -> None:
    normal(current[SLOPE], width) @ "slope"


@gen
def step(current: Trace[Tensor]) -> None:
    normal(current[SLOPE], 0.1) @ "slope"


weighted = importance_sampling(line([1.0]), {("y", 0): 1.0}, num_particles=10, proposal=guess([1.0]))
assert_type(weighted, Weighted[Tensor])
assert_type(weighted.traces[0].retval, Tensor)
resampled = importance_resampling(model([1.0]), {}, num_particles=10)
assert_type(resampled.trace, Trace[tuple[Tensor, str]])

moved, info = metropolis_hastings(weighted.traces[0], select("slope"))
assert_type(moved, Trace[Tensor])
assert_type(info, MetropolisHastingsInfo)
assert_type(metropolis_hastings(moved, step)[0], Trace[Tensor])
assert_type(metropolis_hastings(moved, lambda current: walk(current, 0.1))[0], Trace[Tensor])
chain = run_chain(moved, partial(metropolis_hastings, proposal=step), num_samples=2)
assert_type(chain, Chain[Tensor])


# Steps.


@gen
def drift(t: int, x: float | Tensor, size: float) -> Tensor:
    return normal(x + size, 1.0) @ "x"


@gen
def numbered(t: int, state: tuple[int, Tensor]) -> tuple[int, Tensor]:
    return state[0] + t, normal(state[1], 1.0) @ "x"


@gen
def smoothed(level: Tensor, x: float) -> tuple[Tensor, str]:
    return normal(level, x) @ "level", "label"


@gen
def path(length: int) -> Tensor:
    states = Unfold(drift)(length, 0.0, 0.1) @ "path"
    assert_type(states, Sequence[Tensor])
    return states[-1]


drifting = Unfold(drift).simulate(10, 0.0, 0.1)
assert_type(drifting, Trace[Sequence[Tensor]])
assert_type(Unfold(drift)(10, torch.zeros(()), size=0.1), Call[Sequence[Tensor]])
assert_type(drifting.update({(10, "x"): 0.5}, Unfold(drift)(11, 0.0, 0.1)).trace.retval[-1], Tensor)
assert_type(Unfold(numbered).simulate(3, (0, torch.zeros(()))), Trace[Sequence[tuple[int, Tensor]]])
assert_type(Scan(smoothed).simulate(torch.zeros(()), [0.1]), Trace[tuple[Tensor, Sequence[str]]])
assert_type(Scan(smoothed)(torch.zeros(()), torch.ones(3)), Call[tuple[Tensor, Sequence[str]]])


@gen
def scaled(x: float, scale: Tensor) -> Tensor:
    return normal(x, scale) @ "y"


@gen
def labelled(x: Tensor) -> str:
    return str(normal(x, 1.0) @ "y")


@gen
def points(xs: Sequence[float]) -> Tensor:
    ys = Map(scaled)(xs, shared(torch.ones(()))) @ "ys"
    assert_type(ys, Sequence[Tensor])
    return ys[0]


assert_type(Map(scaled).simulate([1.0], torch.ones(1)), Trace[Sequence[Tensor]])
assert_type(Map(labelled)(torch.ones(3)), Call[Sequence[str]])
assert_type(Map(Map(labelled))([torch.ones(3)]), Call[Sequence[Sequence[str]]])
assert_type(Map(normal).simulate(torch.zeros(3), shared(1.0)).retval[0], Tensor)
assert_type(repeat(scaled, 3)(1.0, torch.ones(())), Call[Sequence[Tensor]])


@gen
def of_four(a: int, b: float, c: str, d: Tensor) -> Tensor:
    return normal(a + b, d) @ c


@gen
def of_three(a: int, b: float, c: str) -> str:
    return c


assert_type(Map(of_three)([1], [0.5], shared("y")), Call[Sequence[str]])
assert_type(Map(of_four)([1], shared(0.5), ["y"], torch.ones(1)), Call[Sequence[Tensor]])

# The static language.


@static
def static_line(xs: Tensor, scale: float = 0.1) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    assert_type(slope, Tensor)
    assert_type(param("shift", 0.0), Tensor)
    return normal(slope * xs, scale) @ "ys"


@static
def static_points(xs: Sequence[float]) -> tuple[Sequence[Tensor], Tensor]:
    shift = static_line(torch.ones(2)) @ inline
    assert_type(shift, Tensor)
    ys = Map(scaled)(xs, shared(shift)) @ "ys"
    assert_type(ys, Sequence[Tensor])
    return ys, line(xs) @ "line"


def plain(x: float) -> Tensor:
    return normal(x, 1.0) @ "y"


class StaticRegression:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    @static
    def predict(self, x: float) -> Tensor:
        return normal(x, self.scale) @ "y"


assert_type(static_line(torch.ones(2), scale=0.2), Call[Tensor])
assert_type(static_line.simulate(torch.ones(2)), Trace[Tensor])
assert_type(static_points.simulate([1.0]).retval[1], Tensor)
assert_type(StaticRegression(1.0).predict(0.5), Call[Tensor])
assert_type(Map(static_line)([torch.ones(2)]), Call[Sequence[Tensor]])
as_static: StaticFunction[..., Tensor] = static_line
static_as_interface: GenerativeFunction[[Tensor, float], Tensor] = static_line
assert_type(static_line.graph, Graph)
assert_type(static_line.code("update", "slope", changed=["xs"]), str)
assert_type(parse(plain), Graph)
build = GraphBuilder("built")
assert_type(build.visit(normal, build.argument("x"), 1.0, address=("y", 0)), Variable)
assert_type(static_function(build.graph()), StaticFunction[..., Any])

# One of several.


@gen
def unlabelled(x: float, scale: Tensor) -> int:
    return int(normal(x, scale) @ "y")


assert_type(Switch(scaled, unlabelled)(0, 0.5, torch.ones(())), Call[Tensor | int])
assert_type(Switch(scaled, scaled).simulate(torch.tensor(1), 0.5, torch.ones(())), Trace[Tensor])
assert_type(
    or_else(scaled, of_three).simulate(True, (0.5, torch.ones(())), (1, 0.5, "y")), Trace[Tensor | str]
)
assert_type(Mask(scaled)(True, 0.5, torch.ones(())), Call[Masked[Tensor]])
assert_type(Mask(scaled).simulate(False, 0.5, torch.ones(())).retval.or_else("no"), Tensor | str)
assert_type(mix(normal, unlabelled)([0.5, 0.5], (0.0, 1.0), (0.5, torch.ones(()))), Call[Tensor | int])

# Other arguments and return values.

assert_type(call_at(scaled)(("y", 1), 0.5, torch.ones(())), Call[Tensor])
assert_type(choice_at(normal)("y", 0.0, 1.0), Call[Tensor])
assert_type(map_retval(Unfold(drift), len)(10, 0.0, 0.1), Call[int])


def halved(x: float) -> tuple[float, Tensor]:
    return 0.5 * x, torch.ones(())


def with_argument(y: Tensor, x: float) -> tuple[Tensor, float]:
    return y, x


assert_type(map_args(scaled, halved)(0.5), Call[Tensor])
assert_type(dimap(scaled, pre=halved, post=with_argument).simulate(0.5), Trace[tuple[Tensor, float]])

# Trees.


@gen
def splits(length: float) -> tuple[str, list[float]]:
    return "leaf", [length / 2] if bernoulli(length) @ "splits" else []


@gen
def counted(value: str, results: Sequence[int]) -> int:
    return sum(results) + len(value)


assert_type(Recurse(splits, counted, max_branch=1).simulate(0.5), Trace[int])

# Custom functions.


class Total(CustomDeterministic[[Sequence[Tensor]], Tensor, int]):
    def execute(self, xs: Sequence[Tensor]) -> tuple[Tensor, int]:
        return torch.stack(list(xs)).sum(), len(xs)

    def update(self, state: int, args: tuple[Any, ...], argdiffs: ArgDiffs) -> tuple[Tensor, int, Diff]:
        return self.execute(*args)[0], state, UNKNOWN


class Square(CustomGradient[[Tensor], Tensor, None]):
    def execute(self, x: Tensor) -> tuple[Tensor, None]:
        return x**2, None

    def gradient(self, args: tuple[Any, ...], retval: Tensor, retgrad: Any, state: None) -> Sequence[Any]:
        return [2 * args[0] * retgrad]


@deterministic
def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().sum()


assert_type(Total()([torch.ones(())]), Call[Tensor])
assert_type(Square().simulate(torch.ones(())).retval, Tensor)
assert_type(distance(torch.ones(2), b=torch.ones(2)), Call[Tensor])
assert_type(
    with_gradient(torch.exp, lambda args, retval, retgrad: [retgrad * retval])(torch.ones(2)), Call[Tensor]
)
assert_type(Vector([1, 2])[0], int)
assert_type(Vector([1, 2])[:1], Vector[int])
