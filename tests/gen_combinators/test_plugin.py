"""The package's own combinators are found by name, through the hook that anybody's are found through."""

from __future__ import annotations

from importlib import metadata

import gen_combinators
from gen_combinators.plugin import combinators
from gen_core import plugins
from gen_distributions import normal


def test_combinators_are_found_by_name() -> None:
    for name, factory in combinators().items():
        assert name in plugins.combinators
        assert plugins.combinator(name) is factory


def test_every_function_that_makes_a_generative_function_has_a_name() -> None:
    # Classes to subclass, values, errors and what is passed to a combinator are not factories.
    others = {"CustomDeterministic", "CustomGradient", "Masked", "Shared", "Vector", "shared", "storage_of"}
    public = {name for name in gen_combinators.__all__ if not name.endswith("Error")} - others

    assert {factory.__name__ for factory in combinators().values()} == public


def test_a_combinator_that_is_found_by_name_works() -> None:
    points = plugins.combinator("map")(normal)

    assert len(points.simulate([0.0, 1.0], [1.0, 2.0]).retval) == 2


def test_the_package_declares_its_plugin() -> None:
    (entry_point,) = metadata.entry_points(group="gen", name="combinators")

    assert entry_point.value == "gen_combinators.plugin"
