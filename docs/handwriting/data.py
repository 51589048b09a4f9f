"""The data: 1797 handwritten digits of 8 x 8 pixels, which come with scikit-learn."""

from __future__ import annotations

from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor

NUM_HELD_OUT = 360


class Images(NamedTuple):
    """Ink in every pixel, 0 to 16, of shape `(n, 64)`."""

    training: Tensor
    held_out: Tensor


def load_images() -> Images:
    """Return the images, a fifth of them held out, the same ones every time."""
    ink = torch.as_tensor(load_digits().data).long()
    order = torch.randperm(len(ink), generator=torch.Generator().manual_seed(0))
    return Images(ink[order[NUM_HELD_OUT:]], ink[order[:NUM_HELD_OUT]])
