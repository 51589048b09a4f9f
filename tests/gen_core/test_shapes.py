"""What shapes broadcast to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen_core.shapes import broadcast_shapes, shape_of

SHAPES = st.lists(st.sampled_from([0, 1, 2, 3]), max_size=3).map(tuple)


@settings(deadline=None)  # torch's first error is slow
@given(st.lists(SHAPES, min_size=1, max_size=3))
def test_shapes_broadcast_as_in_torch(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = tuple(torch.broadcast_tensors(*[torch.empty(shape) for shape in shapes])[0].shape)
    except RuntimeError:
        with pytest.raises(RuntimeError, match="broadcast"):
            broadcast_shapes(*shapes)
    else:
        assert broadcast_shapes(*shapes) == expected


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (1.0, ()),
        ([], (0,)),
        ([1, 2.0], (2,)),
        (((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), (2, 3)),
        ([torch.zeros(3), torch.zeros(3)], (2, 3)),
        (np.zeros((2, 3)), (2, 3)),
        (np.float32(1.0), ()),
        (torch.zeros(2, 1), (2, 1)),
    ],
)
def test_numbers_sequences_arrays_and_tensors_have_shapes(value: object, shape: tuple[int, ...]) -> None:
    assert shape_of(value) == shape
