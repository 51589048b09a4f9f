"""What is trained: a small variational autoencoder of 128 binary numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gen_core import Choices, Distribution, drawing
from gen_distributions import bernoulli, normal
from gen_dml import gen

NUM_DATA, DATA_DIM, HIDDEN_DIM, LATENT_DIM = 256, 128, 256, 20


class Networks(nn.Module):
    """An encoder and a decoder, with a model and a guide around them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(DATA_DIM, HIDDEN_DIM), nn.ReLU(), nn.Linear(HIDDEN_DIM, 2 * LATENT_DIM)
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT_DIM, HIDDEN_DIM), nn.ReLU(), nn.Linear(HIDDEN_DIM, DATA_DIM)
        )

    @gen
    def model(self, num_data: int) -> Tensor:
        """Codes, and the data that they decode to."""
        z = normal(torch.zeros(num_data, LATENT_DIM), 1.0) @ "z"
        return bernoulli(logits=self.decoder(z)) @ "x"

    @gen
    def guide(self, x: Tensor) -> None:
        """Codes of data."""
        loc, log_scale = self.encoder(x).chunk(2, -1)
        normal(loc, log_scale.exp()) @ "z"

    def loss(self, x: Tensor) -> Tensor:
        """Return the negative evidence lower bound a datum; `x` is of floats, 0 or 1."""
        with drawing(reparameterised):
            guess = self.guide.propose(x)
        choices: Choices = {"z": guess.choices["z"], "x": x.bool()}
        return (guess.score - self.model.assess(choices, len(x)).score) / len(x)


def reparameterised(
    distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Draw differentiably in the parameters."""
    return distribution.rsample(*args, **kwargs)
