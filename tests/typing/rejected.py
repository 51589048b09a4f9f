"""Programs that type checkers reject: an error on each line marked `# E:`, and on no other.

Where the two checkers differ, the mark names the one that sees the mistake. Nothing here is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gen_combinators import (
    CustomDeterministic,
    Map,
    Mask,
    Recurse,
    Scan,
    Switch,
    Unfold,
    call_at,
    choice_at,
    deterministic,
    dimap,
    map_retval,
    mix,
    or_else,
    repeat,
    shared,
)
from gen_core import Call, Distribution, GenerativeFunction, Key, Selection, Trace, choicemap, save, select
from gen_core.hookspecs import gen_distributions, gen_edits, implements
from gen_distributions import bernoulli, categorical, from_torch, normal, relabelled
from gen_dml import gen, param
from gen_inflib import importance_sampling, metropolis_hastings, run_chain
from gen_sml import GraphBuilder, static, static_function

SLOPE = Key[Tensor]("slope")


@gen
def line(xs: Sequence[float], scale: float = 0.1) -> Tensor:
    slope = normal(0.0, 1.0) @ "slope"
    for i, x in enumerate(xs):
        normal(slope * x, scale) @ ("y", i)
    return slope


class Regression:
    @gen
    def predict(self, x: float) -> Tensor:
        return normal(x, 1.0) @ "y"


# Inside a model.


@gen
def forgets_an_argument() -> None:
    normal(0.0) @ "x"  # E: missing argument
    line() @ "line"  # E: missing argument


@gen
def gives_too_much() -> None:
    normal(0.0, 1.0, 2.0) @ "x"  # E: too many arguments
    normal(0.0, sd=1.0) @ "x"  # E: unknown keyword
    normal("zero", 1.0) @ "x"  # E: wrong argument
    line(1.0) @ "line"  # E: wrong argument
    Regression().predict("x") @ "y"  # E: wrong argument


@gen
def multiplies_before_the_address(x: Tensor) -> Tensor:
    return x * normal(0.0, 1.0) @ "slope"  # E: `*` binds no tighter than `@`


@gen
def has_no_such_address() -> None:
    normal(0.0, 1.0) @ 1.5  # E: not an address
    normal(0.0, 1.0) @ None  # E: not an address
    normal(0.0, 1.0) @ ["y", 0]  # E: not an address
    normal(0.0, 1.0) @ ("y", ("nested", 0))  # E: not an address


@gen
def forgets_the_address() -> Tensor:
    slope = normal(0.0, 1.0)
    torch.exp(slope)  # E: a call is no tensor
    if bernoulli(0.5):  # E(pyright): a call has no truth value
        slope = normal(1.0, 1.0)  # E(mypy): never reached, for the same reason
    return slope + 1.0  # E: a call is no tensor


@gen
def returns_something_else() -> int:
    return normal(0.0, 1.0) @ "x"  # E: wrong return type


@gen
def misuses_parts() -> None:
    param("mean")  # E: no first value
    param("mean", "zero")  # E: wrong first value
    2.0(0.0, 1.0) @ "x"  # E: a number is no distribution


@gen
def takes_a_label_for_a_number() -> int:
    return relabelled(categorical, ["a"])([1.0]) @ "label"  # E: wrong type of label


# The doors.

line.simulate()  # E: missing argument
line.simulate(["a"])  # E: wrong argument
line.simulate([1.0], noise=0.1)  # E: unknown keyword
line.generate([1.0])  # E: forgotten constraints
line.generate({"slope": 1.0})  # E: missing argument
line.generate(select("slope"), [1.0])  # E: a selection is no choices
line.assess([1.0])  # E: forgotten choices
line([1.0]).generate()  # E: forgotten constraints
line([1.0]).simulate([1.0])  # E: arguments are bound already
Regression().predict.simulate()  # E: missing argument
Regression.predict.simulate(1.0)  # E: no object
wrong_retval: Trace[int] = line.simulate([1.0])  # E: wrong return type
wrong_call: Call[str] = line([1.0])  # E: wrong return type
wrong_signature: GenerativeFunction[[str], Tensor] = line  # E: wrong arguments
wrong_callable: Callable[[str], Call[Tensor]] = line  # E: wrong arguments


# Traces.

trace = line.simulate([1.0])
trace[1.5]  # E: not an address
trace["slope"] = 1.0  # E: traces are immutable
trace.score = torch.zeros(())  # E: traces are immutable
wrong_value: int = trace[SLOPE]  # E: the key says Tensor
for _ in trace:  # E: a trace is not a sequence
    pass
trace.update([1.0])  # E: not choices
trace.update({"slope": 1.0}, [1.0])  # E: arguments are given as a call
trace.update({"slope": 1.0}, argdiffs="unchanged")  # E: not a hint
trace.regenerate("slope")  # E: an address is no selection
trace.regenerate(["slope"])  # E: addresses are no selection
trace.project({"slope": 1.0})  # E: choices are no selection
trace.choices["slope"] = 1.0  # E: choice maps are immutable
narrow: Trace[int] = trace.update({}).trace  # E: wrong return type


# Choices and selections.

choicemap([("slope", 1.0)])  # E: not choices
choicemap({1.5: 1.0})  # E: not an address
select("a") | "b"  # E: a string is no selection
select(1.5)  # E: not an address
not_a_selection: Selection = "slope"  # E: a string is no selection
save(1.0, "trace.gen")  # E: neither a trace nor choices


# Distributions.

torch_normal = from_torch(torch.distributions.Normal)
torch_normal()  # E: missing argument
torch_normal(0.0, sigma=1.0)  # E: unknown keyword
from_torch(torch.nn.Linear)  # E: not a distribution of torch
normal.log_prob(torch.zeros(()), 0.0)  # E: missing argument
normal.log_prob("x", 0.0, 1.0)  # E: wrong value
Distribution(3)  # E: not a family


@implements(gen_distributions)  # E: wrong result
def wrong_distributions() -> list[str]:
    return []


@implements(gen_edits)  # E: hooks take no arguments
def wrong_edits(kind: type[Any]) -> Mapping[tuple[type[Any], str], Callable[..., Any]]:
    return {}


# Inference.


@gen
def walk(current: Trace[Tensor], width: float) -> None:
    normal(current[SLOPE], width) @ "slope"


@gen
def of_other_traces(current: Trace[str]) -> None:
    normal(0.0, 1.0) @ "slope"


importance_sampling(line, {}, num_particles=10)  # E: not a call
importance_sampling(line([1.0]), num_particles=10)  # E: forgotten observations
importance_sampling(line([1.0]), {}, 10)  # E: options are given by name
importance_sampling(line([1.0]), {}, num_particles=10, proposal=walk)  # E: not a call
importance_sampling(line([1.0]), {}, num_particles="ten")  # E: not a number
metropolis_hastings(trace, "slope")  # E: an address is no selection
metropolis_hastings(trace, walk)  # E: takes more than the trace
metropolis_hastings(trace, of_other_traces)  # E: takes traces of another kind
metropolis_hastings(line, select("slope"))  # E: not a trace
run_chain(trace, metropolis_hastings, num_samples=10)  # E: not a kernel
run_chain(trace, partial(metropolis_hastings, proposal=select("slope")))  # E: forgotten number


# Steps.


@gen
def drift(t: int, x: float | Tensor, size: float) -> Tensor:
    return normal(x + size, 1.0) @ "x"


@gen
def smoothed(level: Tensor, x: float) -> tuple[Tensor, str]:
    return normal(level, x) @ "level", "label"


Unfold(drift).simulate(10, 0.0)  # E: missing parameter
Unfold(drift).simulate("10", 0.0, 0.1)  # E: a length is an integer
Unfold(drift).simulate(10, "x", 0.1)  # E: wrong state
Unfold(drift)(10, 0.0, "x")  # E: wrong parameter
Unfold(drift)(10, 0.0, 0.1, 0.2)  # E: too many parameters
Unfold(drift)(length=10, initial_state=0.0, size=0.1)  # E: these two go by position
Unfold(smoothed)  # E: does not take the number of a step
Unfold(lambda t, x: x)  # E(pyright): not a generative function
Scan(drift)  # E: does not return a pair
Scan(smoothed)(torch.zeros(()), 0.1)  # E: inputs are a sequence
Scan(smoothed)(torch.zeros(()), ["a"])  # E: wrong inputs
Scan(smoothed)(0.0, [0.1])  # E: wrong carry
states: Trace[Sequence[str]] = Unfold(drift).simulate(10, 0.0, 0.1)  # E: wrong states


# Elements.


@gen
def scaled(x: float, scale: Tensor) -> Tensor:
    return normal(x, scale) @ "y"


Map(scaled)([1.0])  # E: missing argument
Map(scaled)(1.0, torch.ones(3))  # E: not a sequence
Map(scaled)(["a"], torch.ones(3))  # E: wrong elements
Map(scaled)([1.0], shared("a"))  # E: wrong shared value
repeat(scaled, 3)([1.0], torch.ones(()))  # E: the arguments are the kernel's
scores: Trace[Sequence[str]] = Map(scaled).simulate([1.0], torch.ones(1))  # E: wrong elements


# The static language.


@static
def static_line(xs: Tensor, scale: float = 0.1) -> Tensor:
    slope = normal(0.0) @ "slope"  # E: missing argument
    return normal(slope * xs, scale) @ 0.5  # E: not an address


static_line("x")  # E: wrong argument
static_line.simulate()  # E: missing argument
static_line.code("prove")  # E: no such operation
static_line.code("update", changed=1)  # E: names of arguments
static(3)  # E: not a function
static_function(static_line)  # E: not a graph
GraphBuilder("built").visit(normal, 0.0, 1.0)  # E: forgotten address
static_number: Trace[int] = static_line.simulate(torch.ones(2))  # E: wrong return type


# One of several.


@gen
def labelled(x: float) -> str:
    return "label"


Switch(scaled, labelled)  # E(pyright): branches take the same arguments
Switch(scaled, scaled)("0", 0.5, torch.ones(()))  # E: an index is an integer
Switch(scaled, scaled)(0, 0.5)  # E: missing argument
or_else(scaled, labelled)(True, (0.5, torch.ones(())))  # E: missing arguments
or_else(scaled, labelled)(True, 0.5, ("x",))  # E: arguments are a tuple
Mask(labelled)(0.5)  # E: forgotten flag
Mask(labelled)(True)  # E: missing argument
masked: str = Mask(labelled).simulate(True, 0.5).retval  # E: the value may not be there
mix(normal, labelled)([0.5, 0.5], (0.0, 1.0))  # E: missing arguments


# Other arguments and return values.


call_at(labelled)(0.5)  # E: forgotten key
call_at(labelled)("key", "x")  # E: wrong argument
choice_at(labelled)  # E: not a distribution
map_retval(labelled, torch.exp)  # E: takes tensors, not labels
dimap(labelled, pre=lambda x: x, post=len)  # E: not a tuple
dimap(labelled)  # E: forgotten functions


# Trees.


@gen
def counted(value: float, results: Sequence[int]) -> int:
    return sum(results)


Recurse(labelled, counted, max_branch=2)  # E: no children
Recurse(counted, labelled, max_branch=2)  # E: takes no results


# Custom functions.


class Forgetful(CustomDeterministic[[float], float, None]):
    def execute(self, x: float) -> float:  # E: no state
        return x


class Abstract(CustomDeterministic[[float], float, None]):
    pass


Abstract()  # E: nothing to execute


@deterministic
def doubled(x: float) -> float:
    return 2.0 * x


doubled("x")  # E: wrong argument
doubled(1.0).sample().upper()  # E: wrong return type
