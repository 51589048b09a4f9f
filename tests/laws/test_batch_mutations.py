"""Laws 15 and 16 fail on mistakes that are easily made."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

from gen_core import Distribution
from gen_core.testing import LawError, check_laws
from gen_distributions import normal
from gen_distributions.family import TensorFamily
from gen_dml import gen
from gen_torch.testing import check_staging

pytestmark = pytest.mark.unverified


class DrawnByNumpy(TensorFamily):
    """Draws outside torch: one number for a whole batch."""

    name = "drawn_by_numpy"
    arg_constraints = {"loc": constraints.real}

    def sample(self, loc: float) -> Tensor:
        return torch.tensor(loc + np.random.default_rng().normal())

    def log_prob(self, value: Tensor, /, loc: float) -> Tensor:
        return normal.family.log_prob(value, loc, 1.0)


def test_law_15_finds_draws_that_a_batch_shares() -> None:
    with pytest.raises(LawError, match=r"law 15 .* two runs drew the same value"):
        check_laws(Distribution(DrawnByNumpy())(0.0), laws=[15])


def test_law_16_finds_python_state_that_staging_freezes() -> None:
    counter = itertools.count()

    @gen
    def model() -> Tensor:
        return normal(float(next(counter)), 1.0) @ "x"

    with pytest.raises(LawError, match=r"law 16 .* is broken by simulate of model"):
        check_staging(model())
