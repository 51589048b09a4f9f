"""The model of an image, the guide that guesses its code, and the bound that trains both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from gen_core import Distribution, drawing
from gen_distributions import binomial, normal
from gen_dml import gen

NUM_PIXELS = 64
MAX_INK = 16
CODE_DIM = 8
HIDDEN_DIM = 128


@final
class Autoencoder:
    """A variational autoencoder (Kingma and Welling, 2014), written for one image."""

    def __init__(self) -> None:
        self.decoder = nn.Sequential(
            nn.Linear(CODE_DIM, HIDDEN_DIM), nn.ReLU(), nn.Linear(HIDDEN_DIM, NUM_PIXELS)
        )
        self.encoder = nn.Sequential(
            nn.Linear(NUM_PIXELS, HIDDEN_DIM), nn.ReLU(), nn.Linear(HIDDEN_DIM, 2 * CODE_DIM)
        )

    @gen
    def image(self) -> Tensor:
        """Draw a code, and the ink in every pixel, 0 to 16. Return the expected ink."""
        code = normal(torch.zeros(CODE_DIM), 1.0) @ "code"
        logits: Tensor = self.decoder(code)
        binomial(MAX_INK, logits=logits) @ "ink"
        return MAX_INK * logits.sigmoid()

    @gen
    def guess(self, ink: Tensor) -> Tensor:
        """Draw a code that fits an image. Return the mean of the guess."""
        encoded: Tensor = self.encoder(ink / MAX_INK)
        loc, log_scale = encoded.chunk(2)
        normal(loc, log_scale.exp()) @ "code"
        return loc

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of both functions."""
        yield from self.image.get_torch_nn_module().parameters()
        yield from self.guess.get_torch_nn_module().parameters()

    def log_weight(self, ink: Tensor) -> Tensor:
        """Guess a code, and return log p(code, ink) - log q(code; ink), shape `()`, in nats.

        Its mean is a lower bound of log p(ink). It is differentiable in the parameters of both functions.
        """
        with drawing(reparameterised):
            choices, log_guess, _ = self.guess.propose(ink)
        score, _ = self.image.assess({"code": choices["code"], "ink": ink})
        return score - log_guess


def reparameterised(
    distribution: Distribution[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Draw a value that is differentiable in the parameters; it replaces draws that are constants."""
    return distribution.rsample(*args, **kwargs)
