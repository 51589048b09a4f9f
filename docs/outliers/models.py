"""Robust regression with a flag for each point, three times: a loop, a Map, a Map in a static function.

All three make the same choices at the same addresses, so an algorithm cannot tell them apart but by time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gen_combinators import Map, shared
from gen_core import rows
from gen_core.trace import Trace
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_sml import static

OUTLIER_SCALE, SCALE = 10.0, 0.5


@gen
def with_a_loop(xs: Tensor) -> None:
    """A dynamic function: an edit runs the whole loop again."""
    slope = normal(0.0, 2.0) @ "slope"
    intercept = normal(0.0, 2.0) @ "intercept"
    for i, x in enumerate(xs):
        outlier = bernoulli(0.1) @ ("points", i, "outlier")
        scale = torch.where(outlier, OUTLIER_SCALE, SCALE)
        normal(slope * x + intercept, scale) @ ("points", i, "y")


@static
def point(x: Tensor, slope: Tensor, intercept: Tensor) -> Tensor:
    """One point of the line, or an outlier."""
    outlier = bernoulli(0.1) @ "outlier"
    scale = torch.where(outlier, OUTLIER_SCALE, SCALE)
    return normal(slope * x + intercept, scale) @ "y"


points = Map(point)


@gen
def with_a_map(xs: Tensor) -> None:
    """A dynamic function: an edit runs three lines, and one element of the Map."""
    slope = normal(0.0, 2.0) @ "slope"
    intercept = normal(0.0, 2.0) @ "intercept"
    points(xs, shared(slope), shared(intercept)) @ "points"


@static
def with_a_map_static(xs: Tensor) -> None:
    """A static function: an edit runs one element of the Map."""
    slope = normal(0.0, 2.0) @ "slope"
    intercept = normal(0.0, 2.0) @ "intercept"
    points(xs, shared(slope), shared(intercept)) @ "points"


MODELS = {
    "dynamic, loop": with_a_loop,
    "dynamic, Map": with_a_map,
    "static, Map": with_a_map_static,
}


def start(name: str, num_points: int) -> Trace[None]:
    """Return a trace of one of the models for data on a line."""
    xs = torch.linspace(-1.0, 1.0, num_points)
    ys = 2.0 * xs - 1.0 + SCALE * torch.randn(num_points)
    observations = {"points": rows({"y": ys}), "slope": 2.0, "intercept": -1.0}
    return MODELS[name].generate(observations, xs).trace


def flip(trace: Trace[None], number: int) -> Trace[None]:
    """Return the trace after one Metropolis-Hastings move: another flag of one point, accepted or not."""
    address = ("points", number, "outlier")
    proposed, weight, _, _ = trace.update({address: ~trace[address]})
    return proposed if torch.rand(()).log() < weight else trace
