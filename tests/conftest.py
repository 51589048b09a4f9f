"""What all tests share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small tensors are what tests are made of, and threads only wait for each other over them."""
    torch.set_num_threads(1)
