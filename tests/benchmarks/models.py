"""What is timed: K scalar normals, visited one at a time in a Python loop."""

from __future__ import annotations

from torch import Tensor

from gen_distributions import normal
from gen_dml import gen

K = 100
LOC, SCALE = 0.5, 2.0


@gen
def independent(loc: Tensor | float, scale: Tensor | float) -> None:
    """Every normal has the same parameters."""
    for i in range(K):
        normal(loc, scale) @ ("x", i)


@gen
def walk(start: Tensor | float, scale: Tensor | float) -> Tensor | float:
    """Every normal is centred at the one before."""
    x = start
    for i in range(K):
        x = normal(x, scale) @ ("x", i)
    return x
