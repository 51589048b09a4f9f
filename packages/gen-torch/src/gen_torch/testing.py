"""Law 16: staged code returns what eager code returns. What authors of generative functions check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gen_core import Call, GenError, select
from gen_core.structure import take_apart
from gen_core.testing import LawError
from gen_torch.backends import Backend
from gen_torch.errors import StagingError
from gen_torch.jit import jit

TITLE = "law 16 (staged code returns what eager code returns)"


def check_staging(
    call: Call[Any], *, seed: int = 0, backend: Backend = "graph", differentiable: bool = True
) -> None:
    """Check that every operation of a generative function, staged, returns what it returns eagerly.

    A function that says that it cannot be staged keeps the law.

    Args:
        call: The function, bound to arguments.
        seed: Seeds the draws of both.
        backend: What runs the staged graphs.
        differentiable: Whether to check gradients too.

    Raises:
        LawError: An operation returns something else; names it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        trace = call.simulate()
        donor = call.simulate().choices
        paths = donor.paths()
        part = donor.filter(select(*paths[::2]))
        some = trace.choices.filter(select(*trace.choices.paths()[::2])).addresses()
        operations: dict[str, Callable[[Any, Any], Any]] = {
            "simulate": lambda old, given: call.simulate(),
            "generate": lambda old, given: call.generate(given),
            "assess": lambda old, given: call.assess(old.choices),
            "update": lambda old, given: old.update(given),
            "regenerate": lambda old, given: old.regenerate(some),
            "project": lambda old, given: old.project(some),
        }
        if differentiable:
            operations["choice_gradients"] = lambda old, given: old.choice_gradients()
        for name, operation in operations.items():
            _check(call, name, operation, (trace, part), seed, backend)


def _check(
    call: Call[Any],
    name: str,
    operation: Callable[..., Any],
    args: tuple[Any, ...],
    seed: int,
    backend: Backend,
) -> None:
    torch.default_generator.manual_seed(seed)
    try:
        expected = operation(*args)
    except GenError:
        return  # an update may lead where the constraints do not fit
    torch.default_generator.manual_seed(seed)
    try:
        found = jit(operation, backend=backend)(*args)
    except StagingError:
        return
    difference = _difference(found, expected)
    if difference:
        raise LawError(f"{TITLE} is broken by {name} of {call!r}: {difference}.")


def _difference(found: Any, expected: Any) -> str | None:
    got, structure = take_apart(found, once=False)
    wanted, other = take_apart(expected, once=False)
    if structure != other:
        return f"it returns {found!r} of another structure than {expected!r}"
    for one, two in zip(got, wanted, strict=True):
        if one.shape != two.shape or one.dtype != two.dtype:
            kinds = f"{tuple(one.shape)} and {one.dtype}, not {tuple(two.shape)} and {two.dtype}"
            return f"a tensor has shape and dtype {kinds}"
        # Compilers reorder sums: allow a few hundred roundings of float32.
        if not torch.allclose(one.double(), two.double(), rtol=1e-4, atol=1e-4, equal_nan=True):
            return f"a tensor is {one} and not {two}"
    return None
