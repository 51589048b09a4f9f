"""Verification of change hints: every edit done twice, with hints and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from gen_core.diff import UNKNOWN, ArgDiffs, revisiting
from gen_core.draw import is_drawing_plainly
from gen_core.errors import HintError
from gen_core.readable import values_are_readable
from gen_core.results import Updated
from gen_core.same import same

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.choicemap import ChoiceMap
    from gen_core.trace import Trace

R = TypeVar("R")


@contextmanager
def verify_hints() -> Iterator[None]:
    """Run every edit again without hints while the block runs, and raise where a hint lied.

    Edits in a batch, and those of a program that is being staged, are not verified: they have no numbers yet.
    Nor are edits whose draws are replaced, which cannot be repeated.

    Raises:
        HintError: An edit with hints differs from the same edit without.
    """
    token = _verifying.set(True)
    try:
        yield
    finally:
        _verifying.reset(token)


def leave_unverified() -> None:
    """Verify nothing from here on in this context."""
    _verifying.set(False)


def verified(trace: Trace[R], diffs: ArgDiffs, edit: Callable[[ArgDiffs], Updated[R]]) -> Updated[R]:
    """Return `edit(diffs)`, checked against the edit without hints where that was asked for."""
    if not _verifying.get() or not values_are_readable() or not is_drawing_plainly():
        return edit(diffs)
    state = torch.get_rng_state()
    hinted = edit(diffs)
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    with revisiting():
        plain = edit((UNKNOWN,) * len(diffs))
    torch.set_rng_state(after)
    differing = _differences(hinted, plain)
    if differing:
        raise HintError(trace.gen_fn.name, diffs, differing)
    return hinted


def _differences(hinted: Updated[Any], plain: Updated[Any]) -> list[str]:
    found = []
    if not _close(hinted.weight, plain.weight):
        found.append(f"weight {float(hinted.weight):.6g} instead of {float(plain.weight):.6g}")
    if not _close(hinted.trace.score, plain.trace.score):
        found.append(f"score {float(hinted.trace.score):.6g} instead of {float(plain.trace.score):.6g}")
    if not _alike(hinted.trace.choices, plain.trace.choices):
        found.append("other choices")
    if not _alike(hinted.discard, plain.discard):
        found.append("another discard")
    if not same(hinted.trace.retval, plain.trace.retval, _ROUNDING):
        found.append("another return value")
    return found


def _close(hinted: Tensor, plain: Tensor) -> bool:
    return torch.allclose(hinted, plain, rtol=1e-4, atol=1e-4, equal_nan=True)


def _alike(hinted: ChoiceMap, plain: ChoiceMap) -> bool:
    """Return whether choices are equal up to rounding: an incremental computation may round otherwise."""
    return same(dict(hinted.leaves()), dict(plain.leaves()), _ROUNDING)


_ROUNDING = torch.finfo(torch.float32).eps
_verifying: ContextVar[bool] = ContextVar("gen_verify_hints", default=False)
