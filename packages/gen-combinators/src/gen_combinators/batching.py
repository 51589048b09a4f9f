"""Running a kernel for many elements as one batched operation, where it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from gen_combinators.branch_trace import MaskedTrace
from gen_core import TraceBatch, batch
from gen_core.draw import is_drawing_plainly
from gen_core.readable import values_are_readable
from gen_core.structure import Inner, Structure

if TYPE_CHECKING:
    from gen_core import GenerativeFunction

FEWEST = 10
"""With fewer elements, running them one by one is as fast."""


@dataclass(frozen=True)
class Refusal:
    """A kernel did not run batched."""

    reason: str


def refusal_of(kernel: GenerativeFunction[..., Any], size: int) -> Refusal | None:
    """Return why `size` runs of a kernel are not to be batched, None if they may be."""
    if size < FEWEST:
        return Refusal(f"there are fewer than {FEWEST} elements")
    if not is_drawing_plainly():
        return Refusal("draws are replaced, each by itself")
    return _refusals.get(kernel)


def remember(kernel: GenerativeFunction[..., Any], refusal: Refusal) -> None:
    """Never try again to batch a kernel that ran one by one only.

    Inside a batch or a program that is being staged, that may be the reason.
    """
    if values_are_readable():
        _refusals[kernel] = refusal


def attempt(function: Callable[..., Any], in_dims: list[int | None], size: int, *args: Any) -> Any:
    """Return `function` batched over `args`, or a `Refusal`, having drawn nothing.

    Whatever is raised: in a loop the same error says which element it comes from, and a function that
    treats tensors as numbers fails in many ways. Where elements may take different branches, all branches
    would run in a batch, and the choices of all would be there: one by one each has its own.
    """
    state = _random_state() if values_are_readable() else None
    try:
        found = batch(function, in_dims, size=size)(*args)
        if not _takes_branches(found):
            return found
        refusal = Refusal("its elements may take different branches")
    except Exception as error:
        refusal = Refusal(f"{type(error).__name__}: {error}")
    if state is not None:
        _restore(state)
    return refusal


def _takes_branches(found: Any) -> bool:
    """Return whether a batch is among the results of which each trace holds many branches."""
    parts = found if isinstance(found, tuple) else ()
    return any(isinstance(part, TraceBatch) and _has_branches(part.structure) for part in parts)


def _has_branches(structure: Structure) -> bool:
    if not isinstance(structure, Inner):
        return False
    return structure.kind is MaskedTrace or any(map(_has_branches, structure.parts))


def _random_state() -> list[Any]:
    states = [torch.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.append(torch.cuda.get_rng_state_all())  # type: ignore[arg-type]
    return states


def _restore(states: list[Any]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1])


_refusals: WeakKeyDictionary[GenerativeFunction[..., Any], Refusal] = WeakKeyDictionary()
