"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from gen_core import verify_hints


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small tensors are what tests are made of, and threads only wait for each other over them."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def every_hint_is_verified(request: pytest.FixtureRequest) -> Iterator[None]:
    """Do every edit a second time without hints, and raise where a hint lied.

    Not so in tests that plant bugs, for the laws to find, or that count what is run: `unverified` marks them.
    """
    if request.node.get_closest_marker("unverified"):
        yield
        return
    with verify_hints():
        yield
