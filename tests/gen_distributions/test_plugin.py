from __future__ import annotations

import gen_distributions
from gen_core import Distribution
from gen_distributions.plugin import distributions


def test_every_public_distribution_is_registered_under_its_name() -> None:
    public = {name: getattr(gen_distributions, name) for name in gen_distributions.__all__}
    expected = {name: value for name, value in public.items() if isinstance(value, Distribution)}

    assert distributions() == expected
    assert all(value.name == name for name, value in expected.items())
