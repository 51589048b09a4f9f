"""A third-party package with a combinator of its own and a regenerate for somebody else's type."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., str]
PACKAGES = ("gen-gaussians", "gen-pipelines")


def test_combinators_of_a_plugin_stand_beside_the_built_in_ones(run: Run) -> None:
    program = """
from gen_core import plugins
import gen_combinators
print("pipeline" in plugins.combinators, plugins.combinator("pipeline").__module__)
print(plugins.combinator("recurse") is gen_combinators.Recurse)
"""

    assert run(program).splitlines() == ["True gen_pipelines.pipeline", "True"]


def test_a_combinator_of_a_plugin_keeps_the_laws(run: Run) -> None:
    program = """
import torch
from gen_core import plugins
from gen_core.testing import check_laws
from gen_distributions import bernoulli, normal
from gen_dml import gen

torch.set_default_dtype(torch.float64)
pipeline = plugins.combinator("pipeline")

@gen
def noisy(x):
    return normal(x, 1.0) @ "x"

@gen
def flip(x):
    return bernoulli(0.8 if x else 0.3) @ ("flip", 0)

smooth = pipeline(normal, noisy, noisy)
check_laws(smooth(0.5, 2.0), other_calls=[smooth(torch.tensor(1.0), 1.0)])
coins = pipeline(bernoulli, flip, pipeline(flip, flip))
check_laws(coins(0.4), other_calls=[coins(0.7)], finite=True)
print("kept")
"""

    assert run(program) == "kept"


def test_combinators_of_a_plugin_and_built_in_ones_nest(run: Run) -> None:
    program = """
import torch
from gen_core import plugins
from gen_core.testing import check_laws
from gen_distributions import normal
from gen_dml import gen

torch.set_default_dtype(torch.float64)
pipeline, recurse = plugins.combinator("pipeline"), plugins.combinator("recurse")

@gen
def noisy(x):
    return normal(x, 1.0) @ "x"

@gen
def split(depth):
    x = pipeline(noisy, noisy)(0.5) @ "x"
    return x, [depth - 1] * depth

tree = recurse(split, plugins.combinator("deterministic")(lambda value, results: value + sum(results)), 2)
check_laws(tree(2), other_calls=[tree(1)], laws=range(1, 14))
check_laws(pipeline(tree, noisy)(1), laws=range(1, 14))
print("kept")
"""

    assert run(program) == "kept"


def test_a_regenerate_for_a_type_of_somebody_else_keeps_the_laws(run: Run) -> None:
    program = """
from gen_core.testing import check_laws
from gen_gaussians import walk
check_laws(walk(3, 1.0), other_calls=[walk(5, 0.5), walk(0, 1.0)])
print("kept")
"""

    assert run(program) == "kept"


def test_a_regenerate_of_a_plugin_visits_only_what_is_selected(run: Run) -> None:
    program = """
from gen_core import select
from gen_gaussians import walk
trace = walk(100, 1.0).simulate()
moved = trace.regenerate(select(40)).trace
print([t for t in range(100) if moved.steps[t,] is not trace.steps[t,]])
"""

    assert run(program) == "[40, 41]"
    # Without the plugin, the whole walk is run again.
    derived = run(program, GEN_PLUGINS_DISABLED="pipelines")
    assert len(derived.split(",")) == 100
