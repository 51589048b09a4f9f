"""Robust regression by hand: the move of one outlier flag, in 0-dimensional tensors."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@final
class Regression:
    """The state of a chain over flags, changed in place; what each point adds to the score is kept."""

    def __init__(
        self, xs: Tensor, ys: Tensor, flags: Tensor, line: Tensor, chance: float, scales: tuple[float, float]
    ) -> None:
        """Score every point."""
        self.rests = ys - line[0] - line[1] * xs
        self.flags = flags.clone()
        self.wide, self.narrow = torch.tensor(scales[0]), torch.tensor(scales[1])
        self.log_wide, self.log_narrow = torch.tensor([chance, 1 - chance]).log().unbind()
        self.scores = self._scores(self.flags, self.rests)
        self.score = self.scores.sum(dtype=torch.float64)

    def move(self, index: int) -> bool:
        """Turn one flag over, accept or reject that, and return which it was."""
        flag = ~self.flags[index]
        proposed = self._scores(flag, self.rests[index])
        weight = proposed - self.scores[index]
        accepted = bool(torch.rand(()).log() < weight)
        if accepted:
            self.flags[index] = flag
            self.scores[index] = proposed
            self.score = self.score + weight
        return accepted

    def _scores(self, flags: Tensor, rests: Tensor) -> Tensor:
        log_prior = torch.where(flags, self.log_wide, self.log_narrow)
        scale = torch.where(flags, self.wide, self.narrow)
        whitened = rests / scale
        return torch.addcmul(log_prior - scale.log() - HALF_LOG_TWO_PI, whitened, whitened, value=-0.5)
