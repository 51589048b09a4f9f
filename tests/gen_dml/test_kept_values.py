"""A choice that is kept has the shape that its new parameters demand, or the edit raises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gen_core import NONE, ValueShapeError
from gen_distributions import normal
from gen_dml import gen


@gen
def shaped(loc: Tensor) -> Tensor:
    return normal(loc, 1.0) @ "x"


def test_update_refuses_to_keep_a_value_of_another_shape() -> None:
    trace = shaped.simulate(torch.zeros(()))

    with pytest.raises(ValueShapeError, match=r"batch shape \(3,\) at address 'x'"):
        trace.update({}, shaped(torch.zeros(3)))


def test_regenerate_refuses_to_keep_a_value_of_another_shape() -> None:
    trace = shaped.simulate(torch.zeros(2))

    with pytest.raises(ValueShapeError, match=r"batch shape \(\) at address 'x'"):
        trace.regenerate(NONE, shaped(torch.zeros(())))


def test_a_distribution_refuses_to_keep_a_value_of_another_shape() -> None:
    trace = normal.simulate(0.0, 1.0)

    with pytest.raises(ValueShapeError, match=r"batch shape \(3,\)"):
        trace.update({}, normal(torch.zeros(3), 1.0))
