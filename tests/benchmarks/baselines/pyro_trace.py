"""The same model in Pyro: `poutine.trace` and `log_prob_sum`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

try:
    import pyro
    from pyro import distributions as dist
    from pyro import poutine
except ImportError:
    pyro = None


def is_installed() -> bool:
    """Return whether Pyro is there: only `hatch run bench` brings it."""
    return pyro is not None


def simulate(num: int, loc: float, scale: float, *, validate: bool) -> float:
    """Run the model, and return the log density of all choices."""
    with pyro.validation_enabled(validate):
        trace = poutine.trace(_model).get_trace(num, loc, scale)
        return float(trace.log_prob_sum())


def condition(values: dict[str, Tensor], loc: float, scale: float, *, validate: bool) -> float:
    """Run the model with every choice given, and return the log density of all."""
    with pyro.validation_enabled(validate):
        conditioned = poutine.condition(_model, data=values)
        trace = poutine.trace(conditioned).get_trace(len(values), loc, scale)
        return float(trace.log_prob_sum())


def _model(num: int, loc: float, scale: float) -> Any:
    x = None
    for i in range(num):
        x = pyro.sample(f"x{i}", dist.Normal(loc, scale))
    return x
