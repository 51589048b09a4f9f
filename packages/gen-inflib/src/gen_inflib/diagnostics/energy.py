"""Energy: whether momentum refreshments move a Hamiltonian chain far enough."""

from __future__ import annotations

from torch import Tensor

from gen_inflib.diagnostics.draws import as_draws


def energy_fraction(energy: Tensor) -> Tensor:
    """Return the estimated fraction of missing information of each chain's energies.

        E-BFMI = sum of (E_n - E_{n-1})^2 / sum of (E_n - mean E)^2

    Below 0.3 the chain explores the tails slowly: reparameterise.

    Args:
        energy: Shape `(num_chains, num_draws)`.

    Returns:
        Shape `(num_chains,)`, float64.

    Raises:
        DrawsError: Too few draws, or not all finite.

    Source: Betancourt, Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo (2016).
    """
    wide = as_draws(energy)
    return wide.diff(dim=1).square().sum(1) / (wide - wide.mean(1, keepdim=True)).square().sum(1)
