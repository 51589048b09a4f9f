"""The loss of a variational autoencoder, by hand."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from autoencoder import Networks


def loss(networks: Networks, x: Tensor) -> Tensor:
    """Return the negative evidence lower bound a datum; `x` is of floats."""
    loc, log_scale = networks.encoder(x).chunk(2, -1)
    noise = torch.randn_like(loc)
    z = loc + log_scale.exp() * noise
    # The constants of the two normals cancel.
    log_guide = -(0.5 * noise.square() + log_scale).sum()
    log_prior = -0.5 * z.square().sum()
    log_likelihood = -binary_cross_entropy_with_logits(networks.decoder(z), x, reduction="sum")
    bound: Tensor = (log_guide - log_prior - log_likelihood) / len(x)
    return bound
