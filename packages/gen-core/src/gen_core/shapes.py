"""Shapes: what parameters broadcast to, and whether a given value has the shape that they demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_core.draw import check_parameters
from gen_core.errors import ValueShapeError

if TYPE_CHECKING:
    from gen_core.address import Path
    from gen_core.call import Call
    from gen_core.distribution import Distribution

Shape = tuple[int, ...]


def shape_of(value: object) -> Shape:
    """Return the shape of a number, a tensor, an array, or a (nested) sequence of them."""
    if isinstance(value, list | tuple):
        return (len(value), *shape_of(value[0])) if value else (0,)
    return tuple(getattr(value, "shape", ()))


def broadcast_shapes(first: Shape, *others: Shape) -> Shape:
    """Return the shape that shapes broadcast to.

    In plain Python: the first call of torch's own function imports a computer algebra system.
    """
    shape = first
    for other in others:
        if other != shape:
            shape = _broadcast_pair(shape, other)
    return shape


def check_shape(
    distribution: Distribution[..., Any], call: Call[Any], value: Tensor, path: Path = ()
) -> None:
    """Raise ValueShapeError unless a value has the batch and the event shape of a call's parameters."""
    family = distribution.family
    shape = tuple(value.shape)
    split = len(shape) - family.event_dim
    event_shape = family.event_shape(*call.args, **call.kwargs) if family.event_dim else ()
    batch_shape = _batch_shape(distribution, call)
    batch_fits = split >= 0 and batch_shape in (None, shape[:split])
    if not batch_fits or shape[split:] != event_shape:
        check_parameters(distribution, call.args, call.kwargs)  # a wrong parameter is worse than its effect
        raise ValueShapeError(family.name, path, shape, batch_shape, event_shape)


def _batch_shape(distribution: Distribution[..., Any], call: Call[Any]) -> Shape | None:
    """Return the batch shape of a call's parameters, None where only the family knows it."""
    constraints = distribution.family.arg_constraints
    if not constraints:
        return None
    batch: Shape = ()
    for name, argument in zip(distribution.signature.parameters, call.args, strict=False):
        if type(argument) is Tensor:
            shape: Shape = tuple(argument.shape)
        elif argument is None or isinstance(argument, float | int):
            continue
        else:
            shape = shape_of(argument)
        if name not in constraints:
            return None
        event_dim = constraints[name].event_dim
        if event_dim:
            shape = shape[: max(len(shape) - event_dim, 0)]
        batch = broadcast_shapes(batch, shape) if batch else shape
    return batch


def _broadcast_pair(long: Shape, short: Shape) -> Shape:
    if len(long) < len(short):
        long, short = short, long
    if not short:
        return long
    split = len(long) - len(short)
    if any(m != n and m != 1 and n != 1 for m, n in zip(long[split:], short, strict=True)):
        return tuple(torch.broadcast_shapes(long, short))  # raises, in torch's words
    last = [n if m == 1 else m for m, n in zip(long[split:], short, strict=True)]
    return (*long[:split], *last)
