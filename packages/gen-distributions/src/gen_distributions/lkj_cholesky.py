"""The LKJ distribution of Cholesky factors of correlation matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution, Requirement
from gen_distributions.beta import draw_beta
from gen_distributions.family import TensorFamily
from gen_distributions.tensors import TensorLike, nan_unless, on_support, promote


@final
@dataclass(frozen=True)
class LKJCholesky(TensorFamily):
    """The law of the Cholesky factor L of a random correlation matrix R = L L^T.

    R has a density proportional to det(R)^(concentration - 1); `log_prob` is that of L.

    Source: Lewandowski, Kurowicka and Joe (2009), Generating random correlation matrices based on vines
    and extended onion method; the sampler is the onion method.

    Parameters:
        dim: The number of rows, a Python integer, at least 2.
        concentration: Positive; 1 is uniform over correlation matrices, more pulls towards the identity.
    """

    name = "lkj_cholesky"
    event_dim = 2
    fixed_support = constraints.corr_cholesky
    arg_constraints = {"concentration": constraints.positive}

    def event_shape(self, dim: int, concentration: TensorLike = 1.0) -> tuple[int, ...]:
        """Return `(dim, dim)`."""
        return (int(dim), int(dim))

    def sample(self, dim: int, concentration: TensorLike = 1.0) -> Tensor:
        """Draw one factor for each concentration."""
        (concentration,) = promote(concentration)
        concentration = concentration.detach()
        offset = torch.arange(dim - 1, dtype=concentration.dtype, device=concentration.device)
        radius = draw_beta((offset + 1) / 2, concentration.unsqueeze(-1) + (dim - 2 - offset) / 2)
        shape = (*concentration.shape, dim - 1, dim)
        noise = torch.randn(shape, dtype=offset.dtype, device=offset.device).tril()
        rows = radius.sqrt().unsqueeze(-1) * noise / noise.norm(dim=-1, keepdim=True)
        first = torch.zeros_like(rows[..., :1, :])
        below = torch.cat([first, rows], -2)
        diagonal = (1 - below.square().sum(-1)).clamp(min=torch.finfo(below.dtype).tiny).sqrt()
        return below + torch.diag_embed(diagonal)

    def log_prob(self, value: Tensor, /, dim: int, concentration: TensorLike = 1.0) -> Tensor:
        """Return the log density of each factor, -inf for what is no factor of a correlation matrix."""
        value, concentration = promote(value, concentration)
        dim = int(dim)
        inside = constraints.corr_cholesky.check(value)
        identity = torch.eye(dim, dtype=value.dtype, device=value.device)
        diagonal = torch.where(inside[..., None, None], value, identity).diagonal(dim1=-2, dim2=-1)[..., 1:]
        order = torch.arange(2, dim + 1, dtype=value.dtype, device=value.device)
        exponent = 2 * (concentration.unsqueeze(-1) - 1) + dim - order
        alpha = concentration + 0.5 * (dim - 1)
        log_normaliser = (
            0.5 * (dim - 1) * math.log(math.pi)
            + log_multigamma(alpha - 0.5, dim - 1)
            - (dim - 1) * torch.lgamma(alpha)
        )
        log_prob = (exponent * diagonal.log()).sum(-1) - log_normaliser
        return on_support(inside, nan_unless(concentration > 0, log_prob))

    def requirements(self, dim: int, concentration: TensorLike = 1.0) -> Iterable[Requirement]:
        """Return that there are at least two rows and `concentration` is positive."""
        (concentration,) = promote(concentration)
        return [
            Requirement("dim", "an integer, at least 2", torch.as_tensor(dim) >= 2),
            Requirement("concentration", "positive", concentration > 0),
        ]


def log_multigamma(x: Tensor, dim: int) -> Tensor:
    """Return the log of the multivariate gamma function; torch's own one reads `x`, which no batch can do."""
    steps = torch.arange(dim, dtype=x.dtype, device=x.device) / 2
    return torch.lgamma(x.unsqueeze(-1) - steps).sum(-1) + dim * (dim - 1) / 4 * math.log(math.pi)


lkj_cholesky = Distribution(LKJCholesky())
