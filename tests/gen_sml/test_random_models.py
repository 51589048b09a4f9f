"""Random straight-line models and random edits: both languages do the same."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen_core import UNCHANGED, UNKNOWN, select, unvisited
from gen_distributions import bernoulli, categorical, normal
from gen_dml import gen
from gen_sml import static

NUMBERS = itertools.count()
KINDS = ["normal", "flag", "compute", "test", "tuple", "dynamic", "static", "moving"]

Draw = Callable[[st.SearchStrategy[Any]], Any]


@gen
def dynamic_callee(loc: Any, flag: Any) -> Any:
    x = normal(loc, 1.0) @ "x"
    if flag:
        normal(x, 2.0) @ "more"
    return x


@static
def static_callee(loc: Any, flag: Any) -> Any:
    x = normal(loc, 1.0) @ "x"
    scale = 2.0 if flag else 1.0
    return normal(x, scale) @ "y", x


@st.composite
def sources(draw: Draw) -> str:
    """Return the body of a model of numbers `v...` and flags `b...`."""
    numbers, flags = ["x"], ["flag"]
    lines = []
    for i in range(draw(st.integers(1, 8))):
        number = st.sampled_from(numbers)
        kind = draw(
            st.sampled_from(["normal", "flag", "compute", "test", "tuple", "dynamic", "static", "moving"])
        )
        if kind == "normal":
            lines.append(f"v{i} = normal({draw(number)}, {draw(st.sampled_from(['1.0', '0.5']))}) @ 'v{i}'")
        elif kind == "flag":
            lines.append(f"b{i} = bernoulli(0.9 if {draw(st.sampled_from(flags))} else 0.2) @ ('b', {i})")
        elif kind == "compute":
            lines.append(f"v{i} = {draw(number)} + 0.5 * {draw(number)}")
        elif kind == "test":
            lines.append(f"b{i} = bool({draw(number)} > 0.3)")
        elif kind == "tuple":
            lines.append(f"v{i}, b{i} = ({draw(number)}, {draw(st.sampled_from(flags))})")
        elif kind == "dynamic":
            flag = draw(st.sampled_from(flags))
            lines.append(f"v{i} = dynamic_callee({draw(number)}, {flag}) @ ('sub', {i})")
        elif kind == "static":
            flag = draw(st.sampled_from(flags))
            lines.append(f"v{i} = (static_callee({draw(number)}, {flag}) @ 'sub{i}')[0]")
        else:
            flag = draw(st.sampled_from(flags))
            lines.append(f"v{i} = normal({draw(number)}, 1.0) @ ('moving{i}', int({flag}))")
        if kind not in ("flag", "test"):
            numbers.append(f"v{i}")
        if kind in ("flag", "test", "tuple"):
            flags.append(f"b{i}")
    lines.append(f"return {draw(st.sampled_from(numbers))}, {draw(st.sampled_from(flags))}")
    return "def model(x, flag):\n" + "".join(f"    {line}\n" for line in lines)


edits = st.lists(
    st.tuples(
        st.sampled_from(["update", "regenerate"]),
        st.integers(0, 2**10),
        st.sampled_from([None, (0.5, True), (0.5, False), (0.7, True)]),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@given(source=sources(), edits=edits, seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_edits_do_the_same_in_both_languages(
    source: str, edits: list[tuple[str, int, Any, bool]], seed: int
) -> None:
    function = defined(source)
    mine, theirs = static(function), gen(function)

    one, other = (run(model, edits, seed) for model in (mine, theirs))

    for (a, b), after in zip(zip(one, other, strict=True), ["start", *edits], strict=True):
        assert a[0] == b[0], after
        torch.testing.assert_close(a[1], b[1], rtol=1e-4, atol=1e-4)
        assert a[2] == b[2], after
        assert a[3] is UNCHANGED or a[3] == b[3]


def run(model: Any, edits: list[tuple[str, int, Any, bool]], seed: int) -> list[Any]:
    torch.manual_seed(seed)
    trace = model.simulate(0.5, True)
    donor = model.simulate(0.5, True).choices
    results = [(trace.choices, [trace.score], None, None)]
    with unvisited("ignore"):
        for operation, mask, arguments, is_blind in edits:
            call = None if arguments is None else model(*arguments)
            paths = trace.choices.paths()
            chosen = select(*[path for bit, path in enumerate(paths) if mask >> bit & 1])
            what = donor.filter(chosen) if operation == "update" else chosen
            trace, weight, retdiff, discard = getattr(trace, operation)(
                what, call, argdiffs=UNKNOWN if is_blind else None
            )
            results.append((trace.choices, [trace.score, weight], discard, retdiff))
            torch.testing.assert_close(
                trace.score, model.assess(trace.choices, *trace.args).score, rtol=1e-4, atol=1e-4
            )
    return results


def defined(source: str) -> Any:
    """Return the function that a source defines, with lines that can be found."""
    file = f"<random model {next(NUMBERS)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    scope = {
        "bernoulli": bernoulli,
        "categorical": categorical,
        "normal": normal,
        "dynamic_callee": dynamic_callee,
        "static_callee": static_callee,
    }
    exec(compile(source, file, "exec"), scope)
    return scope["model"]
