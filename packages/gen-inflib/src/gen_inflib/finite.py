"""Finite choices: the values that they, or each of their elements, range over."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gen_core import Path, Trace, TraceBatch, batch
from gen_core.address import show
from gen_core.readable import values_are_readable
from gen_core.shapes import shape_of
from gen_distributions import NotEnumerableError
from gen_inflib.position_errors import EnumerationError


class Finite(NamedTuple):
    """A finite choice, whose elements range over the same values; one element if they do not."""

    path: Path
    values: Tensor
    """The values of one element, shape `(k, *element_shape)`."""
    batch_shape: torch.Size
    """The shape of its elements, `()` for one."""

    @property
    def num_values(self) -> int:
        """The number of values of the whole choice."""
        return int(len(self.values) ** self.batch_shape.numel())


def finite(trace: Trace[Any], path: Path) -> Finite:
    """Return the values of the elements of a choice.

    Raises:
        EnumerationError: It is not finite, or its values are not tensors.
    """
    choice = trace.subtrace(path)
    distribution, value = choice.gen_fn, choice.retval
    if not getattr(distribution, "is_enumerable", False):
        raise EnumerationError(
            f"The choice at {show(path)} of {trace.gen_fn.name}, from {distribution.name}, has no finite "
            f"support to enumerate. Leave it out, and give it another kernel."
        )
    if not isinstance(value, Tensor):
        raise EnumerationError(
            f"The choice at {show(path)} of {trace.gen_fn.name} has values that are not tensors, which "
            f"cannot be enumerated."
        )
    family: Any = distribution.family  # type: ignore[attr-defined]
    batch_shape = value.shape[: value.dim() - family.event_dim]
    if batch_shape and _is_uniform(family.support(*choice.call.args, **choice.call.kwargs)):
        values = _values(choice, _of_first_element(choice))
        if values.shape[1:] == value.shape[len(batch_shape) :]:
            return Finite(path, values, batch_shape)
    return Finite(path, _values(choice, choice.call.args), torch.Size())


def every_value(trace: Trace[Any], found: Finite) -> Tensor:
    """Return all values of a whole choice, shape `(num_values, *shape)`."""
    if not found.batch_shape:
        return found.values
    choice = trace.subtrace(found.path)
    return _values(choice, choice.call.args)


def _values(choice: Trace[Any], args: tuple[Any, ...]) -> Tensor:
    family: Any = choice.gen_fn.family  # type: ignore[attr-defined]
    try:
        return torch.stack(list(family.enumerate_support(*args, **choice.call.kwargs)))
    except NotEnumerableError as error:
        raise EnumerationError(str(error)) from None


def _of_first_element(choice: Trace[Any]) -> tuple[Any, ...]:
    """Return the arguments of the first element of a choice."""
    distribution: Any = choice.gen_fn
    constraints = distribution.family.arg_constraints
    found = []
    for name, argument in zip(distribution.signature.parameters, choice.call.args, strict=False):
        event_dim = constraints[name].event_dim if name in constraints else 0
        batch_dim = len(shape_of(argument)) - event_dim
        found.append(torch.as_tensor(argument)[(0,) * batch_dim] if batch_dim > 0 else argument)
    return tuple(found)


def refuse_different_supports(traces: TraceBatch[Any], path: Path, model: str) -> None:
    """Raise EnumerationError unless a choice has the same support in every trace of a batch."""

    def bounds(trace: Trace[Any]) -> list[Tensor]:
        choice = trace.subtrace(path)
        family: Any = choice.gen_fn.family  # type: ignore[attr-defined]
        return [torch.zeros(()), *_bounds(family.support(*choice.call.args, **choice.call.kwargs))]

    every: Any = batch(bounds)
    found: list[Tensor] = every(traces)[1:]
    if not all(map(_is_constant, found)):
        raise EnumerationError(
            f"The choices at {show(path)} of the elements of {model} have different supports, or bounds that "
            f"are tensors, which cannot be compared in a batch or a program. Enumerate fewer at a time, or "
            f"make the bounds Python numbers."
        )


def _is_uniform(support: Any) -> bool:
    """Return whether no bound of a support differs between the elements of a choice."""
    return all(map(_is_constant, _bounds(support)))


def _bounds(support: Any) -> list[Tensor]:
    return [bound for bound in vars(support).values() if isinstance(bound, Tensor)]


def _is_constant(bound: Tensor) -> bool:
    """Return whether all elements are one number, as far as that can be read."""
    return bound.numel() < 2 or (values_are_readable() and bool((bound == bound.flatten()[0]).all()))
