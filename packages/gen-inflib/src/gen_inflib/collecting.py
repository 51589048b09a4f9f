"""What is kept of the steps of chains: draws or their moments, numbers of each draw, and rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from gen_core import Address, ChoiceMap
from gen_core.address import Path, bare
from gen_core.choicemap_values import same_value
from gen_core.structure import put_together, take_apart
from gen_inflib.statistics import Moments
from gen_inflib.stretch import Ragged, Stretch, stack_rows

IS_NAN = "is_nan"


@final
@dataclass(frozen=True)
class Kept:
    """What to keep of the steps after warm-up."""

    thin: int
    draws: bool
    collected: bool
    covariance: bool


@final
@dataclass
class Collector:
    """Everything that was kept so far; plain data, which a checkpoint holds."""

    num_steps: int = 0
    num_draws: int = 0
    choices: list[Any] = field(default_factory=list)
    collected: list[Any] = field(default_factory=list)
    log_densities: list[Tensor] = field(default_factory=list)
    fields: list[dict[tuple[str, str], Tensor]] = field(default_factory=list)
    sums: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    """By kernel and name, `(num_chains, 2)`: the sum of the numbers at all steps, and how many there were."""
    moves: dict[str, Tensor] = field(default_factory=dict)
    """By kernel, `(num_chains, 2)`: moves taken and accepted."""
    changes: dict[Path, Tensor] = field(default_factory=dict)
    """By address, `(num_chains, 2)`: pairs of consecutive steps that have it, and those that differ in it."""
    previous: Any = None
    """The choices at the last step, with one step."""
    moments: Moments[ChoiceMap] | None = None
    collected_moments: Moments[Any] | None = None

    def add(self, stretch: Stretch, kept: Kept) -> None:
        """Take in the next steps."""
        self._count_moves(stretch)
        self._add_up({("", "log_density"): stretch.log_density} | stretch.fields)
        self._count_changes(stretch.choices)
        steps = slice((kept.thin - 1 - self.num_steps) % kept.thin, None, kept.thin)
        self.num_steps += len(stretch.log_density)
        log_density = stretch.log_density[steps]
        if len(log_density):
            self.num_draws += len(log_density)
            if kept.draws:
                self.log_densities.append(log_density)
                self.fields.append({key: value[steps] for key, value in stretch.fields.items()})
            self._keep(stretch, steps, kept)

    def statistics(self) -> dict[str, Tensor]:
        """Return the numbers of each draw, `(num_chains, num_draws)`, by name."""
        if not self.log_densities:
            return {}
        return {"log_density": _by_chain(self.log_densities), **_named(_joined_fields(self.fields))}

    def statistic_means(self) -> dict[str, Tensor]:
        """Return the means of the numbers over all steps, `(num_chains,)`, by name."""
        return _named({key: sums[:, 0] / sums[:, 1] for key, sums in self.sums.items()})

    def num_nans(self) -> int:
        """Return how many log acceptance ratios were NaN, and so rejected."""
        return sum(int(sums[:, 0].sum().ceil()) for (_, name), sums in self.sums.items() if name == IS_NAN)

    def acceptance_rates(self) -> dict[str, Tensor]:
        """Return the shares of moves that were accepted, `(num_chains,)`, by kernel."""
        return {kernel: counts[:, 1] / counts[:, 0] for kernel, counts in self.moves.items()}

    def move_rates(self) -> Mapping[Address, Tensor]:
        """Return the shares of steps that changed a value, `(num_chains,)`, by address."""
        return {bare(path): counts[:, 1] / counts[:, 0] for path, counts in self.changes.items()}

    def draws(self) -> Any:
        """Return the choices that were kept: a choice map, Ragged, or None."""
        return joined(self.choices) if self.choices else None

    def collection(self) -> Any:
        """Return what was collected, or None; rows by chain where it does not stack."""
        values = joined(self.collected) if self.collected else None
        if isinstance(values, Ragged):
            return tuple(zip(*values.rows, strict=True))
        return values

    def _keep(self, stretch: Stretch, steps: slice, kept: Kept) -> None:
        if kept.draws:
            self.choices.append(_some(stretch.choices, steps))
            if kept.collected:
                self.collected.append(_some(stretch.collected, steps))
            return
        if kept.collected:
            self.collected_moments = _with(self.collected_moments, stretch.collected, steps, kept)
        if not kept.collected or not isinstance(stretch.choices, Ragged):
            self.moments = _with(self.moments, stretch.choices, steps, kept)

    def _add_up(self, fields: dict[tuple[str, str], Tensor]) -> None:
        # All at once: there are many, and each is small. By chains, as their numbers mostly lie.
        numbers = torch.stack([values.mT.double() for values in fields.values()])
        sums = torch.stack([numbers.nansum(2), (~numbers.isnan()).sum(2).double()], 2)
        for key, now in zip(fields, sums, strict=True):
            self.sums[key] = self.sums[key] + now if key in self.sums else now

    def _count_moves(self, stretch: Stretch) -> None:
        for kernel, counts in stretch.moves.items():
            now = counts.sum(0)
            self.moves[kernel] = self.moves[kernel] + now if kernel in self.moves else now

    def _count_changes(self, choices: Any) -> None:
        last = _some(choices, slice(-1, None))
        every = choices if self.previous is None else _concatenated([self.previous, choices])
        self.previous = last
        counts = _changes_of_ragged(every) if isinstance(every, Ragged) else _changes(every)
        for path, now in counts.items():
            self.changes[path] = self.changes[path] + now if path in self.changes else now


def _named(columns: dict[tuple[str, str], Tensor]) -> dict[str, Tensor]:
    """Return columns by their fields' names; with the kernel's name where several kernels have the field."""
    owners: dict[str, list[str]] = {}
    for kernel, name in columns:
        owners.setdefault(name, []).append(kernel)
    return {
        name if len(owners[name]) == 1 else f"{kernel}.{name}": column
        for (kernel, name), column in columns.items()
    }


def joined(stretches: list[Any]) -> Any:
    """Return the values of consecutive stretches as one, `(num_chains, num_draws, ...)`, or Ragged."""
    whole = _concatenated(stretches)
    if isinstance(whole, Ragged):
        return whole
    tensors, structure = take_apart(whole, once=False)
    return put_together([tensor.transpose(0, 1).contiguous() for tensor in tensors], structure)


def _concatenated(stretches: list[Any]) -> Any:
    if len(stretches) == 1:
        return stretches[0]
    if any(isinstance(stretch, Ragged) for stretch in stretches):
        return _as_ragged(stretches)
    parts = [take_apart(stretch, once=False) for stretch in stretches]
    structure = parts[0].structure
    kinds = [[(t.shape[1:], t.dtype) for t in part.tensors] for part in parts]
    if any(part.structure != structure for part in parts) or any(kind != kinds[0] for kind in kinds):
        return _as_ragged(stretches)
    columns = zip(*[part.tensors for part in parts], strict=True)
    return put_together([torch.cat(column) for column in columns], structure)


def _as_ragged(stretches: list[Any]) -> Any:
    rows = tuple(row for stretch in stretches for row in _rows(stretch))
    return Ragged(rows)


def _rows(stretch: Any) -> tuple[tuple[Any, ...], ...]:
    if isinstance(stretch, Ragged):
        return stretch.rows
    tensors, structure = take_apart(stretch, once=False)
    steps, chains = tensors[0].shape[:2]
    return tuple(
        tuple(put_together([t[step, chain] for t in tensors], structure) for chain in range(chains))
        for step in range(steps)
    )


def _some(stretch: Any, steps: slice) -> Any:
    if isinstance(stretch, Ragged):
        return stretch[steps]
    tensors, structure = take_apart(stretch, once=False)
    return put_together([tensor[steps] for tensor in tensors], structure)


def _with(moments: Moments[Any] | None, values: Any, steps: slice, kept: Kept) -> Moments[Any]:
    some = _some(values, steps)
    if isinstance(some, Ragged):
        now = _moments_of_ragged(some, kept)
    else:
        tensors, structure = take_apart(some, once=False)
        by_chain = put_together([tensor.transpose(0, 1) for tensor in tensors], structure)
        now = Moments.of(by_chain, covariance=kept.covariance)
    return now if moments is None else moments.merge(now)


def _moments_of_ragged(values: Ragged, kept: Kept) -> Moments[Any]:
    """Merge the moments of each step, which says what differs."""
    total: Moments[Any] | None = None
    for row in values.rows:
        total = _with(total, stack_rows([row]), slice(None), kept)
    assert total is not None
    return total


def _joined_fields(stretches: list[dict[tuple[str, str], Tensor]]) -> dict[tuple[str, str], Tensor]:
    keys = dict.fromkeys(key for stretch in stretches for key in stretch)
    return {key: _joined_field(stretches, key) for key in keys}


def _joined_field(stretches: list[dict[tuple[str, str], Tensor]], key: tuple[str, str]) -> Tensor:
    parts = []
    for stretch in stretches:
        like = next(iter(stretch.values()), None)
        missing = next(other[key] for other in stretches if key in other) if like is None else like
        parts.append(stretch[key] if key in stretch else torch.full(missing.shape, math.nan).double())
    if len({part.dtype for part in parts}) > 1:
        parts = [part.double() for part in parts]
    return _by_chain(parts)


def _by_chain(parts: list[Tensor]) -> Tensor:
    """Return consecutive numbers, each `(num_steps, num_chains)`, as one tensor with the chains first."""
    return torch.cat([part.mT for part in parts], 1) if len(parts) > 1 else parts[0].mT.contiguous()


def _changes(choices: ChoiceMap) -> dict[Path, Tensor]:
    counts = {}
    for path, values in choices.leaves():
        differ = (
            (values[1:] != values[:-1]).flatten(2).any(2) if values.dim() > 2 else values[1:] != values[:-1]
        )
        changed = differ.double().sum(0)
        counts[path] = torch.stack([torch.full_like(changed, len(differ)), changed], 1)
    return counts


def _changes_of_ragged(choices: Ragged) -> dict[Path, Tensor]:
    counts: dict[Path, Tensor] = {}
    for before, now in zip(choices.rows, choices.rows[1:], strict=False):
        for chain, (old, new) in enumerate(zip(before, now, strict=True)):
            for path, value in new.leaves():
                if path in old:
                    count = counts.setdefault(path, torch.zeros(len(now), 2, dtype=torch.float64))
                    count[chain, 0] += 1
                    count[chain, 1] += not same_value(value, old[path])
    return counts
