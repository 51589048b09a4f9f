"""A table of what the draws of chains say, and how well they say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, final

import torch
from torch import Tensor

from gen_core import ALL, ChoiceMap, Choices, Selection, choicemap
from gen_core.selection_build import as_selection
from gen_inflib.chain_errors import DrawsError
from gen_inflib.diagnostics.draws import as_draws, quantile
from gen_inflib.diagnostics.effective_sample_size import (
    effective_sample_size_bulk,
    effective_sample_size_tail,
)
from gen_inflib.diagnostics.names import columns
from gen_inflib.diagnostics.r_hat import r_hat
from gen_inflib.diagnostics.standard_error import standard_error
from gen_inflib.errors import ModelError


class HasDraws(Protocol):
    """What a summary needs of chains."""

    @property
    def draws(self) -> ChoiceMap:
        """Choices whose tensors have shape `(num_chains, num_draws, *shape)`."""
        ...


class SummaryRow(NamedTuple):
    """What is known of one number."""

    mean: float
    sd: float
    low: float
    """The 5% quantile."""
    high: float
    """The 95% quantile."""
    standard_error: float
    """Of the mean."""
    ess_bulk: float
    ess_tail: float
    r_hat: float


@final
@dataclass(frozen=True)
class Summary:
    """One row for each number, by name; printing it gives a table."""

    rows: dict[str, SummaryRow]
    num_chains: int
    num_draws: int

    def __getitem__(self, name: str) -> SummaryRow:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        titles = ("", "mean", "sd", "5%", "95%", "error", "ess bulk", "ess tail", "r-hat")
        lines = [titles, *((name, *map(_short, row)) for name, row in self.rows.items())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [_line(line, widths) for line in lines]
        return "\n".join([*table, f"{self.num_chains} chains of {self.num_draws} draws"])


def summary(chains: HasDraws | Choices, selection: Selection = ALL) -> Summary:
    """Return means, spreads, errors and convergence of each number that was drawn.

    Booleans and integers count as numbers.

    Args:
        chains: Chains, or choices whose tensors have shape `(num_chains, num_draws, *shape)`.
        selection: The addresses to report.

    Raises:
        DrawsError: Too few draws, or not all finite; names the number.
    """
    draws = draws_of(chains)
    rows: dict[str, SummaryRow] = {}
    shape = (0, 0)
    for name, column in columns(draws.filter(as_selection(selection))):
        shape = (column.shape[0], column.shape[1])
        try:
            rows[name] = _row(column)
        except ValueError as error:
            error.add_note(f"These are the draws of {name}.")
            raise
    return Summary(rows, *shape)


def draws_of(chains: HasDraws | Choices) -> ChoiceMap:
    """Return the draws of chains, or given ones as a choice map.

    Raises:
        ModelError: `chains` are neither.
        DrawsError: There are none.
    """
    given: Any = chains
    if not isinstance(given, ChoiceMap | Mapping):
        if not hasattr(given, "draws"):
            raise ModelError(given, "chains, as `mcmc` returns them, or choices with the draws of each")
        given = given.draws
    draws = choicemap(given)
    if draws.is_empty:
        raise DrawsError("There are no draws: expected at least one choice that is not observed.")
    return draws


def _row(column: Tensor) -> SummaryRow:
    wide = as_draws(column)
    every = wide.flatten()
    numbers = [
        every.mean(),
        every.std(),
        quantile(wide, 0.05),
        quantile(wide, 0.95),
        standard_error(wide),
        effective_sample_size_bulk(wide),
        effective_sample_size_tail(wide),
        r_hat(wide),
    ]
    return SummaryRow(*torch.stack(numbers).tolist())


def _short(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _line(parts: tuple[str, ...], widths: list[int]) -> str:
    numbers = [part.rjust(width) for part, width in zip(parts[1:], widths[1:], strict=True)]
    return "  ".join([parts[0].ljust(widths[0]), *numbers])
