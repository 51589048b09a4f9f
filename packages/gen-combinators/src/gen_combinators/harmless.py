"""What a branch that is not taken gets: values that can do no harm, and no gradient back.

The trick of two `where`s: a value that is chosen against by one `where` must not have met an operation that
is undefined for it, or its gradient is 0 * inf. So the values that branches run on are chosen too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor

from gen_core import Call, ChoiceTrace, Trace, drawing, rooms
from gen_core.choicemap_build import from_paths
from gen_core.draw import draw_sample
from gen_core.scoring import given_value
from gen_core.structure import put_together, take_apart

if TYPE_CHECKING:
    from gen_core import ChoiceMap, Path


def donor(call: Call[Any]) -> Trace[Any]:
    """Return a run of a branch, for its values: whatever comes of them is masked."""
    # Not one of the model's draws, so nobody is asked to replace it.
    with torch.no_grad(), drawing(draw_sample):
        return rooms.simulate(call)


def harmless(given: ChoiceMap, own: Trace[Any], taken: Tensor) -> ChoiceMap:
    """Return `given` where the branch is taken, and where it is not, values that the branch has drawn.

    Given values may be off the support of a branch that is not meant, or index its tables out of bounds.
    """
    if given.is_empty:
        return given
    return from_paths((path, _harmless(path, value, own, taken)) for path, value in given.leaves())


def guarded(call: Call[Any], taken: Tensor) -> Call[Any]:
    """Return a call whose arguments get a gradient only where the branch is taken."""
    if not torch.is_grad_enabled():
        return call
    tensors, structure = take_apart((call.args, dict(call.kwargs)))
    if not any(map(_has_gradient, tensors)):
        return call
    args, kwargs = put_together([_guarded(tensor, taken) for tensor in tensors], structure)
    return Call(call.gen_fn, args, kwargs or call.kwargs)


def _harmless(path: Path, value: Any, own: Trace[Any], taken: Tensor) -> Any:
    values = own.choices.get(path, _NOTHING)
    if values is _NOTHING:
        return value
    found = own.find(path)
    if type(found) is ChoiceTrace:
        value = given_value(found.call, value, path)
    if not isinstance(values, Tensor):
        return value
    given = torch.as_tensor(value, dtype=values.dtype, device=values.device)
    # Of another shape it is refused by the branch, in the words of its distribution.
    return torch.where(taken.to(given.device), given, values) if given.shape == values.shape else value


def _guarded(tensor: Tensor, taken: Tensor) -> Tensor:
    if not _has_gradient(tensor):
        return tensor
    return torch.where(taken.to(tensor.device), tensor, tensor.detach())


def _has_gradient(tensor: Tensor) -> bool:
    while not tensor.requires_grad:
        if not is_functorch_wrapped_tensor(tensor):
            return False
        tensor = get_unwrapped(tensor)
    return True


_NOTHING: Final = object()
