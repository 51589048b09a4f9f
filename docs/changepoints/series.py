"""A series of measurements, read from a CSV file with two columns."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

MIN_ROWS = 3


class SeriesError(Exception):
    """A file does not hold a series; the message is one line that says why."""


@dataclass(frozen=True, eq=False)
class Series:
    """Measurements in the order of time, and the scales that the model's priors are set by."""

    time_name: str
    value_name: str
    times: Tensor
    """Shape `(n,)`, float64."""
    values: Tensor
    """Shape `(n,)`, float64."""
    center: Tensor
    """The mean of the values, shape `()`."""
    spread: Tensor
    """The standard deviation of the values, shape `()`."""

    @property
    def first(self) -> Tensor:
        """The time of the first measurement."""
        return self.times[0]

    @property
    def last(self) -> Tensor:
        """The time of the last measurement."""
        return self.times[-1]


def make_series(times: Tensor, values: Tensor, time_name: str = "time", value_name: str = "value") -> Series:
    """Return a series of measurements, sorted by time.

    Raises:
        SeriesError: There are too few, or all times or all values are the same.
    """
    if len(times) < MIN_ROWS:
        raise SeriesError(f"expected at least {MIN_ROWS} rows of data, but got {len(times)}")
    order = times.double().argsort(stable=True)
    times, values = times.double()[order], values.double()[order]
    for name, column in ((time_name, times), (value_name, values)):
        if bool((column == column[0]).all()):
            raise SeriesError(f"all rows have the same {name}, {column[0]:g}, so nothing can change")
    return Series(time_name, value_name, times, values, values.mean(), values.std())


def read_series(path: Path) -> Series:
    """Read a CSV file with two columns, time and value, with or without a line of names.

    Raises:
        SeriesError: The file cannot be read, or holds something else.
    """
    lines = _read_lines(path)
    names = ("time", "value")
    if lines and not any(map(_is_number, lines[0][1])):
        (_, first, *_), *lines = [(number, cells) for number, cells in lines]
        if len(first) == 2:
            names = (first[0].strip() or "time", first[1].strip() or "value")
    rows = [_parse(number, cells) for number, cells in lines]
    times, values = torch.tensor(rows, dtype=torch.float64).reshape(-1, 2).unbind(1)
    return make_series(times, values, *names)


def _read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the line number and the cells of each line that is not blank."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except OSError as error:
        raise SeriesError(error.strerror.lower() if error.strerror else "cannot be read") from None
    except (UnicodeDecodeError, csv.Error):
        raise SeriesError("this is not a CSV file in UTF-8") from None


def _parse(number: int, cells: list[str]) -> tuple[float, float]:
    if len(cells) != 2:
        raise SeriesError(f"line {number}: expected two columns, a time and a value, but got {len(cells)}")
    for cell in cells:
        if not _is_number(cell):
            raise SeriesError(f"line {number}: expected a number, but got {cell.strip()!r}")
    return float(cells[0]), float(cells[1])


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
