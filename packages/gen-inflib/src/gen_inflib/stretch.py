"""Some consecutive steps of all chains, side by side: what runners hand over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from gen_core.structure import put_together, take_apart
from gen_inflib.visits import Visit


@final
@dataclass(frozen=True, slots=True)
class Ragged:
    """Values that do not stack, because their structure or their shapes differ."""

    rows: tuple[tuple[Any, ...], ...]
    """By step, then by chain."""

    def __getitem__(self, steps: slice) -> Ragged:
        return Ragged(self.rows[steps])


class Stretch(NamedTuple):
    """Consecutive steps of all chains. Tensors begin with the dimensions `(num_steps, num_chains)`."""

    choices: Any
    """A choice map, or Ragged."""
    log_density: Tensor
    fields: dict[tuple[str, str], Tensor]
    """NaN where a chain did not report the number at a step."""
    moves: dict[str, Tensor]
    collected: Any
    """The values, or Ragged."""


def stretch_of_batches(visits: Sequence[Visit]) -> Stretch:
    """Return the steps of a batch, whose visits have the chains as first dimension."""
    return _as_stretch(stack_values(visits))


def stretch_of_scan(visits: Visit) -> Stretch:
    """Return the steps of a compiled loop, which stacked them."""
    return _as_stretch(visits)


def stretch_of_rows(rows: Sequence[Sequence[Visit]]) -> Stretch:
    """Return steps of chains that ran one after another: `rows[step][chain]`, whatever their structure."""
    return Stretch(
        stack_rows([[visit.choices for visit in row] for row in rows]),
        torch.stack([torch.stack([visit.log_density for visit in row]) for row in rows]),
        _table([[visit.fields for visit in row] for row in rows], math.nan),
        _table([[visit.moves for visit in row] for row in rows], 0.0),
        stack_rows([[visit.collected for visit in row] for row in rows]),
    )


def stack_rows(rows: Sequence[Sequence[Any]]) -> Any:
    """Return values by step and chain stacked, `(num_steps, num_chains, ...)`, or Ragged."""
    flat = [value for row in rows for value in row]
    stacked = stack_values(flat)
    if isinstance(stacked, Ragged):
        return Ragged(tuple(map(tuple, rows)))
    tensors, structure = take_apart(stacked, once=False)
    shape = (len(rows), len(rows[0]))
    return put_together([tensor.unflatten(0, shape) for tensor in tensors], structure)


def stack_values(values: Sequence[Any]) -> Any:
    """Return values of one structure stacked along a new first dimension, or Ragged."""
    parts = [take_apart(value, once=False) for value in values]
    structure = parts[0].structure
    kinds = [[(t.shape, t.dtype, t.device) for t in part.tensors] for part in parts]
    if any(part.structure != structure for part in parts) or any(kind != kinds[0] for kind in kinds):
        return Ragged(tuple((value,) for value in values))
    columns = zip(*[part.tensors for part in parts], strict=True)
    return put_together([torch.stack(column) for column in columns], structure)


def _as_stretch(visits: Any) -> Stretch:
    assert isinstance(visits, Visit)
    return Stretch(*visits)


def _table(rows: Sequence[Sequence[dict[Any, Tensor]]], missing: float) -> dict[Any, Tensor]:
    """Return one tensor for each key of the dicts, `(num_steps, num_chains, ...)`."""
    keys = dict.fromkeys(key for row in rows for said in row for key in said)
    return {key: _column(rows, key, missing) for key in keys}


def _column(rows: Sequence[Sequence[dict[Any, Tensor]]], key: Any, missing: float) -> Tensor:
    found: Iterable[Tensor] = (said[key] for row in rows for said in row if key in said)
    first = next(iter(found))
    kinds = {said[key].dtype for row in rows for said in row if key in said}
    if all(key in said for row in rows for said in row) and len(kinds) == 1:
        return torch.stack([torch.stack([said[key] for said in row]) for row in rows])
    fill = torch.full_like(first, missing, dtype=torch.float64)
    return torch.stack([torch.stack([said.get(key, fill).double() for said in row]) for row in rows])
