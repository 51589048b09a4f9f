"""The static language against the dynamic one: one straight line of 100 choices."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from gen_core import GenerativeFunction, Trace, select
from gen_distributions import normal
from gen_dml import gen
from gen_sml import static
from timing import Benchmark, Contender, Target

K = 100
STATIC, DYNAMIC = "static", "dynamic"
AT = f"x{K // 2}"


def straight_line() -> Callable[..., Any]:
    """Return a function of 100 normals, one a line; it is long, and so written here."""
    lines = ["def model(loc, scale):", *(f"    x{i} = normal(loc, scale) @ 'x{i}'" for i in range(K))]
    source = "\n".join([*lines, f"    return x{K - 1}", ""])
    file = "<straight line>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"normal": normal}
    exec(compile(source, file, "exec"), namespace)
    model: Callable[..., Any] = namespace["model"]
    return model


def benchmarks() -> Iterator[Benchmark]:
    """Return one benchmark for each operation."""
    source = straight_line()
    models: dict[str, GenerativeFunction[..., Any]] = {STATIC: static(source), DYNAMIC: gen(source)}
    operations: list[tuple[str, Callable[[GenerativeFunction[..., Any], Trace[Any]], object], float]] = [
        ("simulate", _simulate, 1.0),
        ("generate with half of the choices given", _generate, 1.0),
        ("update of one choice", _update, 0.1),
        ("regenerate of one choice", _regenerate, 0.1),
    ]
    for name, operation, ratio in operations:
        contenders = [
            Contender(language, partial(operation, model, model.simulate(0.5, 2.0)))
            for language, model in models.items()
        ]
        title = f"{name}, {K} scalar normals, score read"
        yield Benchmark(title, contenders, K, Target(STATIC, DYNAMIC, ratio))


def _simulate(model: GenerativeFunction[..., Any], trace: Trace[Any]) -> float:
    return float(model.simulate(0.5, 2.0).score)


def _generate(model: GenerativeFunction[..., Any], trace: Trace[Any]) -> float:
    return float(model.generate({f"x{i}": HALF for i in range(0, K, 2)}, 0.5, 2.0).weight)


def _update(model: GenerativeFunction[..., Any], trace: Trace[Any]) -> float:
    return float(trace.update({AT: HALF}).trace.score)


def _regenerate(model: GenerativeFunction[..., Any], trace: Trace[Any]) -> float:
    return float(trace.regenerate(select(AT)).trace.score)


HALF = torch.tensor(0.5)
