"""Real third-party packages: built as wheels, installed by pip, found through their entry points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., str]
PACKAGES = ("gen-gaussians", "gen-fast-walks")


def test_a_distribution_is_found_through_its_entry_point(run: Run) -> None:
    program = """
from gen_core import plugins
skew_normal = plugins.distribution("skew_normal")
print("skew_normal" in plugins.distributions, type(skew_normal.family).__module__)
"""

    assert run(program) == "True gen_gaussians.skew_normal"


def test_a_distribution_of_a_plugin_keeps_the_laws_and_follows_its_density(run: Run) -> None:
    program = """
import torch
from gen_core import plugins
from gen_core.testing import check_laws, check_samples
skew_normal = plugins.distribution("skew_normal")
check_laws(skew_normal(0.5, 2.0, 3.0), other_calls=[skew_normal(0.0, 1.0, -1.0)])
check_laws(skew_normal(torch.zeros(3), torch.ones(3), 2.0))
check_samples(skew_normal, 0.5, 2.0, 3.0)
print("kept")
"""

    assert run(program) == "kept"


def test_a_distribution_of_a_plugin_is_used_in_models_batched_and_saved(run: Run) -> None:
    program = """
import io
import torch
from gen_core import load, plugins, save
from gen_dml import gen
skew_normal = plugins.distribution("skew_normal")

@gen
def model(shape):
    return skew_normal(0.0, 1.0, shape) @ "x"

traces = torch.func.vmap(model.simulate, randomness="different")(torch.arange(3.0))
assert torch.allclose(traces.score[1], model.assess({"x": traces["x"][1]}, 1.0).score)
file = io.BytesIO()
save(skew_normal.simulate(0.0, 1.0, 2.0), file)
file.seek(0)
print(load(file).gen_fn is skew_normal)
"""

    assert run(program) == "True"


def test_a_bad_parameter_of_a_plugin_is_named_with_its_address(run: Run) -> None:
    program = """
from gen_core import ParameterError
from gen_dml import gen
from gen_gaussians import skew_normal

@gen
def model():
    skew_normal(0.0, -1.0, 2.0) @ "x"

try:
    model.simulate()
except ParameterError as error:
    print(error)
"""

    assert run(program) == (
        "Expected `scale` of skew_normal to be positive, but got -1.0, at address 'x' in model."
    )


def test_an_edit_for_a_type_of_somebody_else_is_used_and_keeps_the_laws(run: Run) -> None:
    program = """
import gen_fast_walks.regenerate as edit
from gen_core.testing import check_laws
from gen_gaussians import walk
check_laws(walk(3, 1.0), other_calls=[walk(5, 0.5), walk(0, 1.0)])
print(edit.num_uses > 0)
"""

    assert run(program) == "True"
    # The room that is derived without the plugin keeps them as well.
    assert run(program, GEN_PLUGINS_DISABLED="fast_walks") == "False"


def test_a_disabled_plugin_is_not_found(run: Run) -> None:
    program = """
from gen_core import UnknownNameError, plugins
try:
    plugins.distribution("skew_normal")
except UnknownNameError as error:
    print(error)
"""

    disabled = run(program, GEN_PLUGINS_DISABLED="gaussians")

    assert disabled.startswith("There is no distribution named 'skew_normal'.")


def test_a_plugin_that_breaks_after_its_installation_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gen_gaussians").mkdir()
    (tmp_path / "gen_gaussians" / "__init__.py").write_text("raise ImportError('needs another gen-core')")
    program = f"""
import sys, warnings
sys.path.insert(0, {str(tmp_path)!r})
from gen_core import GenWarning, UnknownNameError, plugins
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        plugins.distribution("skew_normal")
    except UnknownNameError as error:
        print(error)
for warning in caught:
    print(warning.message)
"""

    found = run(program, GEN_PLUGINS_DISABLED="fast_walks")

    failure, warning = found.splitlines()
    assert "plugins are broken and were not loaded: gaussians (gen-gaussians 0.3.1)." in failure
    assert "The plugin gaussians (gen-gaussians 0.3.1) is broken and was not loaded: ImportError" in warning
