"""Export to ArviZ, which plots and compares what was inferred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_core import ChoiceMap, Choices, TraceBatch, choicemap, stack
from gen_inflib.diagnostics.names import name_of
from gen_inflib.errors import MissingExtraError
from gen_inflib.weighted import Weighted

if TYPE_CHECKING:
    from gen_inflib.chains import Chains


def to_arviz(
    result: Chains[Any] | Weighted[Any],
    *,
    observations: Choices | None = None,
    log_likelihood: Choices | None = None,
    posterior_predictive: Choices | None = None,
) -> Any:
    """Return an `xarray.DataTree` for ArviZ.

    Chains give the groups `posterior` and `sample_stats`. Weighted particles become one chain, with their
    normalised `log_weight` among the `sample_stats`; ArviZ weighs draws equally, so resample first
    (`Weighted.sample`) for its plots.

    Args:
        result: Chains, or weighted particles.
        observations: The observed values, for the group `observed_data`.
        log_likelihood: Of `pointwise_log_likelihood`, for the group of that name.
        posterior_predictive: Of `posterior_predictive`, for the group of that name.

    Raises:
        MissingExtraError: ArviZ is not installed: `pip install "gen-inflib[arviz]"`.
    """
    try:
        from arviz_base import from_dict
    except ImportError as error:
        raise MissingExtraError("to_arviz", "arviz", "arviz-base") from error
    posterior, statistics = _draws(result)
    groups: dict[str, Mapping[str, Any]] = {"posterior": _arrays(posterior), "sample_stats": statistics}
    for name, given in (
        ("observed_data", observations),
        ("log_likelihood", log_likelihood),
        ("posterior_predictive", posterior_predictive),
    ):
        if given is not None:
            groups[name] = _arrays(choicemap(given))
    return from_dict(groups)


def _draws(result: Any) -> tuple[ChoiceMap, dict[str, Any]]:
    if isinstance(result, Weighted):
        traces = result.traces
        choices = traces.choices if isinstance(traces, TraceBatch) else stack(traces).choices
        return choices.map(lambda value: value[None]), {"log_weight": _array(result.log_weights[None])}
    names = {"log_density": "lp", "acceptance_probability": "acceptance_rate", "num_leapfrogs": "n_steps"}
    return result.draws, {names.get(k, k): _array(v) for k, v in result.statistics.items()}


def _arrays(choices: ChoiceMap) -> dict[str, Any]:
    return {name_of(path): _array(torch.as_tensor(value)) for path, value in choices.leaves()}


def _array(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy()
