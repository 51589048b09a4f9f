"""Goodness of fit: whether a distribution's samples follow its density."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.constraints import Constraint

from gen_core.distribution import Distribution
from gen_core.testing.number_scores import check_number_scores
from gen_core.testing.p_values import chi_square_p_value, kolmogorov_p_value, normal_p_value

NUM_BINS = 32
NUM_LOCATIONS = 8
NUM_NUMBERS = 100


def check_samples(
    distribution: Distribution[..., Any],
    *args: Any,
    num_samples: int = 4000,
    significance: float = 1e-3,
    seed: int = 0,
    cdf: Callable[[Tensor], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Check that samples of a distribution follow its density, which must integrate to 1.

    - Discrete: Pearson's test of the observed values against their probabilities.
    - One real number: the same, of intervals against the integral of the density; with `cdf`, the
      Kolmogorov-Smirnov test.
    - Vectors and matrices: for a density q that is concentrated somewhere, the mean of q(x) / p(x) over
      samples is 1 if these follow p. Checked for several q, in the coordinates of `biject_to(support)`.

    Where the family has `log_prob_of_numbers`, that it agrees with `log_prob` is checked on samples, too.

    The global random state is left as it was.

    Args:
        distribution: What is checked.
        *args: Parameters of one event: scalars, for a distribution over numbers.
        num_samples: How many to draw. Half of them choose what is compared, half are compared.
        significance: The p-value below which the samples are rejected. With a right sampler, this is the
            share of seeds that fail.
        seed: The seed of the draws.
        cdf: The distribution function, for a distribution over numbers.
        **kwargs: Further parameters.

    Raises:
        AssertionError: The samples do not follow the density, or it differs for numbers and tensors.
        ValueError: The parameters are those of several events.
    """
    family = distribution.family
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draws = [distribution.sample(*args, **kwargs) for _ in range(num_samples)]

    def log_prob(values: Any) -> Tensor:
        return family.log_prob(values, *args, **kwargs).detach().double()

    for draw in draws[:1]:
        if isinstance(draw, Tensor) and draw.dim() != family.event_dim:
            raise ValueError(
                f"check_samples needs parameters of one event of {distribution.name}, but they draw a value "
                f"of shape {tuple(draw.shape)}."
            )
    check_number_scores(distribution(*args, **kwargs), draws[:NUM_NUMBERS])
    if distribution.is_discrete:
        p_value = _discrete(draws, log_prob)
    elif family.event_dim:
        p_value = _multivariate(torch.stack(draws), log_prob, distribution.support(*args, **kwargs))
    elif cdf is not None:
        p_value = kolmogorov_p_value(cdf(torch.stack(draws)))
    else:
        p_value = _univariate(torch.stack(draws), log_prob)
    if not p_value >= significance:
        raise AssertionError(
            f"{num_samples} samples of {distribution(*args, **kwargs)!r} do not follow its density: "
            f"p-value {p_value:.2g}, below {significance}."
        )


def _discrete(draws: list[Any], log_prob: Callable[[Any], Tensor]) -> float:
    probabilities: dict[Hashable, float] = {}
    for draw in draws:
        key = _key(draw)
        if key not in probabilities:
            probabilities[key] = float(log_prob(draw).sum().exp())
    if min(probabilities.values()) <= 0.0 or sum(probabilities.values()) > 1.0 + 1e-4:
        return 0.0
    half = len(draws) // 2
    # What is compared must not depend on the samples that are compared.
    cells = list(dict.fromkeys(_key(draw) for draw in draws[:half]))
    counts = Counter(_key(draw) for draw in draws[half:])
    total = len(draws) - half
    observed = [counts[cell] for cell in cells]
    expected = [probabilities[cell] * total for cell in cells]
    others = max(total - sum(expected), 0.0)
    if others < 1e-4 * total and total - sum(observed) == 0:
        return chi_square_p_value(observed, expected)
    return chi_square_p_value([*observed, total - sum(observed)], [*expected, others])


def _key(draw: Any) -> Hashable:
    if isinstance(draw, Tensor):
        return tuple(draw.flatten().tolist())
    return tuple(_key(part) for part in draw) if isinstance(draw, tuple) else draw


def _univariate(draws: Tensor, log_prob: Callable[[Any], Tensor]) -> float:
    if bool((log_prob(draws) == -math.inf).any()):
        return 0.0
    half = len(draws) // 2
    # Samples lie densest where the density changes most, which makes them good quadrature panels.
    grid, second = draws[:half].unique(), draws[half:]
    ends = torch.linspace(0, len(grid) - 1, NUM_BINS + 1).round().long().unique()
    cumulative = torch.cat([torch.zeros(1).double(), _panel_integrals(grid, log_prob).cumsum(0)])
    inner = cumulative[ends].diff()
    counts = torch.bincount(torch.bucketize(second, grid[ends]), minlength=len(ends) + 1).tolist()
    outside = max(1.0 - float(inner.sum()), 0.0)
    observed = [counts[0] + counts[-1], *counts[1:-1]]
    return chi_square_p_value(observed, [p * len(second) for p in [outside, *inner.tolist()]])


def _panel_integrals(grid: Tensor, log_prob: Callable[[Any], Tensor]) -> Tensor:
    """Return the integral of the density between neighbouring points, by Gauss-Legendre quadrature."""
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(12))
    low, width = grid[:-1, None].double(), grid.double().diff()[:, None]
    points = low + width * (nodes + 1) / 2
    density = log_prob(points.flatten()).exp().reshape(points.shape)
    return (density * weights).sum(1) * width[:, 0] / 2


def _multivariate(draws: Tensor, log_prob: Callable[[Any], Tensor], support: Constraint) -> float:
    points, log_volume = _coordinates(draws, support)
    log_density = log_prob(draws) + log_volume
    half = len(draws) // 2
    mean, factor = points[:half].mean(0), torch.linalg.cholesky(points[:half].T.cov())
    whitened = torch.linalg.solve_triangular(factor, (points[half:] - mean).T, upper=False).T
    log_whitened = log_density[half:] + factor.diagonal().log().sum()
    # Narrower than the samples, so that the ratios have a small variance.
    variance, dim = 0.5, points.shape[1]
    directions = torch.randn(
        (NUM_LOCATIONS, dim), dtype=points.dtype, generator=torch.Generator().manual_seed(1)
    )
    centers = 0.7 * directions / directions.norm(dim=1, keepdim=True)
    p_values = []
    for center in centers.to(points.device):
        distance = (whitened - center).square().sum(1)
        log_q = -distance / (2 * variance) - 0.5 * dim * math.log(2 * math.pi * variance)
        ratios = (log_q - log_whitened).exp()
        z = (ratios.mean() - 1) / (ratios.std() / math.sqrt(len(ratios)))
        p_values.append(normal_p_value(float(z)))
    return min(p_values) * NUM_LOCATIONS


def _coordinates(draws: Tensor, support: Constraint) -> tuple[Tensor, Tensor]:
    """Return unconstrained coordinates in float64, and the log volume that one unit of them has."""
    wide = draws.double()
    if support is constraints.positive_definite:
        return _log_cholesky(wide)
    onto = biject_to(support)
    points = onto.inv(wide)
    log_volume = onto.log_abs_det_jacobian(points, wide)
    return points.flatten(1), log_volume.flatten(1).sum(1) if log_volume.dim() > 1 else log_volume


def _log_cholesky(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower triangle of the Cholesky factor, with the logarithm of its diagonal."""
    dim = matrices.shape[-1]
    factor = torch.linalg.cholesky(matrices)
    log_diagonal = factor.diagonal(dim1=-2, dim2=-1).log()
    rows, columns = torch.tril_indices(dim, dim, -1)
    powers = torch.arange(dim + 1, 1, -1, dtype=matrices.dtype, device=matrices.device)
    log_volume = dim * math.log(2) + (powers * log_diagonal).sum(-1)
    return torch.cat([log_diagonal, factor[..., rows, columns]], -1), log_volume
