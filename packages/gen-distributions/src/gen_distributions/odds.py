"""Probabilities of success given as `probs` or as `logits`, as in `torch.distributions`."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gen_distributions.errors import OneParameterizationError
from gen_distributions.tensors import TensorLike, nan_unless, promote, weighted_log

T = TypeVar("T")

_MANY = 1024


def exactly_one(distribution: str, **alternatives: T | None) -> T:
    """Return the one alternative parameter that was given.

    Raises:
        OneParameterizationError: None or several were given.
    """
    given = {name: value for name, value in alternatives.items() if value is not None}
    if len(given) != 1:
        raise OneParameterizationError(distribution, tuple(alternatives), tuple(given))
    return next(iter(given.values()))


def success_probs(distribution: str, probs: TensorLike | None, logits: TensorLike | None) -> Tensor:
    """Return the probabilities of success, without gradient."""
    (given,) = promote(exactly_one(distribution, probs=probs, logits=logits))
    return (given if logits is None else given.sigmoid()).detach()


def log_sigmoid(logits: Tensor) -> Tensor:
    """Return log p; torch's own function, which is faster, wakes a thread even for a handful of elements."""
    if logits.numel() >= _MANY:
        return logsigmoid(logits)
    # From 37 on, log(1 + exp(x)) is x in float64; torch's threshold of 20 is for float32.
    return -softplus(-logits, threshold=40.0)


def log_odds_mass(
    distribution: str,
    successes: Tensor,
    failures: Tensor,
    probs: TensorLike | None,
    logits: TensorLike | None,
) -> Tensor:
    """Return `successes * log(p) + failures * log(1 - p)`; NaN where p is no probability.

    The gradient in `probs` is finite where a count is 0 and its probability too.
    """
    given, _ = promote(exactly_one(distribution, probs=probs, logits=logits), successes)
    if logits is not None:
        return successes * log_sigmoid(given) + failures * log_sigmoid(-given)
    mass = weighted_log(successes, given) + failures * torch.log1p(-torch.where(failures == 0, 0.0, given))
    return nan_unless((given >= 0) & (given <= 1), mass)
