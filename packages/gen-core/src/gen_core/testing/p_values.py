"""p-values of the tests that compare samples with a law."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def chi_square_p_value(counts: Sequence[float], expected: Sequence[float]) -> float:
    """Return the p-value of Pearson's test. Cells with fewer than five expected counts are merged.

    Args:
        counts: Observed counts.
        expected: Expected counts, with the same sum; at least 0 each.
    """
    cells: list[tuple[float, float]] = []
    seen = wanted = 0.0
    for count, expectation in sorted(zip(counts, expected, strict=True), key=lambda cell: cell[1]):
        seen, wanted = seen + count, wanted + expectation
        if wanted >= 5.0:
            cells.append((seen, wanted))
            seen = wanted = 0.0
    if cells:
        cells[-1] = (cells[-1][0] + seen, cells[-1][1] + wanted)
    if len(cells) < 2:
        return 1.0
    statistic = sum((count - expectation) ** 2 / expectation for count, expectation in cells)
    return _upper_gamma((len(cells) - 1) / 2, statistic / 2)


def kolmogorov_p_value(cumulative: torch.Tensor) -> float:
    """Return the p-value of the Kolmogorov-Smirnov test that numbers are uniform on [0, 1].

    Args:
        cumulative: The values of the distribution function at the samples, shape `(n,)`.
    """
    n = len(cumulative)
    ordered = cumulative.double().sort().values
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    distance = float(torch.maximum(steps[1:] - ordered, ordered - steps[:-1]).max())
    # Stephens' correction of the asymptotic law for finite n.
    x = distance * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))
    if x < 0.2:
        return 1.0
    return min(1.0, max(0.0, 2 * sum(_sign(k) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))))


def normal_p_value(z: float) -> float:
    """Return the two-sided p-value of a standard normal."""
    return math.erfc(abs(z) / math.sqrt(2))


def _sign(k: int) -> float:
    return 1.0 if k % 2 else -1.0


def _upper_gamma(a: float, x: float) -> float:
    upper: torch.Tensor = torch.special.gammaincc(torch.tensor(a).double(), torch.tensor(x).double())
    return upper.item()
