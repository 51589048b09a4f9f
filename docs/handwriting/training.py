"""Training: many images at once, by a model that is written for one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from gen_core import batch
from gen_torch import jit
from handwriting.data import Images
from handwriting.model import Autoencoder

BATCH_SIZE = 128
LEARNING_RATE = 2e-3
NUM_GUESSES = 100


class Epoch(NamedTuple):
    """What is known after a pass over the data, in nats an image."""

    number: int
    loss: float
    held_out: float | None


def train(
    autoencoder: Autoencoder,
    images: Images,
    *,
    num_epochs: int,
    compiled: bool = False,
    every: int = 10,
    show: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train with Adam, and return what happened, with held-out likelihoods every so many epochs."""

    def loss_of(ink: Tensor) -> Tensor:
        log_weights: Tensor = batch(autoencoder.log_weight)(ink)
        return -log_weights.mean()

    loss_of_batch = jit(loss_of) if compiled else loss_of
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(TensorDataset(images.training), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    epochs = []
    for number in range(1, num_epochs + 1):
        losses = []
        for (ink,) in loader:
            optimizer.zero_grad()
            loss = loss_of_batch(ink)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        is_due = number % every == 0 or number in (1, num_epochs)
        held_out = float(log_likelihoods(autoencoder, images.held_out).mean()) if is_due else None
        epochs.append(Epoch(number, sum(losses) / len(losses), held_out))
        show(epochs[-1])
    return epochs


@torch.no_grad()
def log_likelihoods(
    autoencoder: Autoencoder, images: Tensor, *, num_guesses: int = NUM_GUESSES, chunk_size: int = 90
) -> Tensor:
    """Return an estimate of log p(image) for each image, in nats, by importance sampling from the guess.

    It is low on average, and approaches the truth as guesses are added (Burda, Grosse and
    Salakhutdinov, 2016).
    """

    def estimate(ink: Tensor) -> Tensor:
        log_weights: Tensor = batch(lambda: autoencoder.log_weight(ink), size=num_guesses)()
        return log_weights.logsumexp(0) - math.log(num_guesses)

    found: Tensor = batch(estimate, chunk_size=chunk_size)(images)
    return found
