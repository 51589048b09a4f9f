"""The one place where random numbers are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import ALL, Distribution, ParameterError, drawing
from gen_core.draw import draw_sample
from gen_distributions import bernoulli, gamma, normal
from gen_dml import gen, inline

Args = tuple[Any, ...]


@gen
def inner() -> Tensor:
    return gamma(2.0, 1.0) @ "z"


@gen
def model() -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    inner() @ "sub"
    inner() @ inline
    bernoulli(0.5).sample()
    return x


class Drawn:
    """Draws zeros, or from a generator, and remembers from what."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.names: list[str] = []
        self.generator = generator

    def __call__(self, distribution: Distribution[..., Any], args: Args, kwargs: Mapping[str, Any]) -> Any:
        self.names.append(distribution.name)
        if self.generator is None:
            return torch.ones(())
        return torch.rand((), generator=self.generator)


def test_every_draw_of_a_run_comes_through_the_replacement() -> None:
    drawn = Drawn()

    with drawing(drawn):
        trace = model.simulate()
        normal.sample(0.0, 1.0)
        normal.simulate(0.0, 1.0)
        trace.regenerate(ALL)

    once = ["normal", "gamma", "gamma", "bernoulli"]
    assert drawn.names == [*once, "normal", "normal", *once]
    assert trace["x"] == 1.0 and trace["sub", "z"] == 1.0


def test_given_choices_are_not_drawn() -> None:
    drawn = Drawn()

    with drawing(drawn):
        model.generate({"x": 0.5, "sub": {"z": 1.0}})

    assert drawn.names == ["gamma", "bernoulli"]


def test_a_generator_can_draw() -> None:
    def run() -> Any:
        with drawing(Drawn(torch.Generator().manual_seed(3))):
            return model.simulate().choices

    assert run() == run()


def test_replacements_nest_and_end_with_their_block() -> None:
    outer, innermost = Drawn(), Drawn()

    with drawing(outer):
        with drawing(innermost):
            normal.sample(0.0, 1.0)
        gamma.sample(2.0, 1.0)
    normal.sample(0.0, 1.0)
    with pytest.raises(KeyError), drawing(outer):
        raise KeyError("mine")
    normal.sample(0.0, 1.0)

    assert innermost.names == ["normal"] and outer.names == ["gamma"]


def test_a_replacement_may_draw_as_usual() -> None:
    def count(distribution: Distribution[..., Any], args: Args, kwargs: Mapping[str, Any]) -> Any:
        return draw_sample(distribution, args, kwargs)

    torch.manual_seed(0)
    usual = model.simulate().choices
    torch.manual_seed(0)
    with drawing(count):
        assert model.simulate().choices == usual


def test_a_drawn_value_is_a_constant() -> None:
    loc = torch.tensor(0.0, requires_grad=True)

    assert not normal.sample(loc, 1.0).requires_grad
    assert normal.rsample(loc, 1.0).requires_grad


def test_a_sampler_that_fails_on_a_bad_parameter_names_the_parameter() -> None:
    with pytest.raises(ParameterError, match=r"Expected `scale` of normal to be positive, but got -1.0"):
        normal.sample(0.0, -1.0)
