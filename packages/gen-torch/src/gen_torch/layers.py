"""The transforms of `torch.func` that are running, one layer around the other, and tensors in them.

Under vmap and grad a tensor is wrapped once for each layer that it differs in or is differentiated by;
the innermost, the physical tensor, is what staging sees. Here tensors are unwrapped down to a layer and
wrapped again. Layers count from 1, the outermost; layer 0 is torch without transforms. A physical tensor
has the dimensions of its batches in front, those of outer layers first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor
from torch._C._functorch import (
    CVmapInterpreterPtr,
    TransformType,
    _add_batch_dim,
    _unwrap_for_grad,
    _wrap_for_grad,
    get_interpreter_stack,
    get_unwrapped,
    is_batchedtensor,
    is_functorch_wrapped_tensor,
    is_gradtrackingtensor,
    maybe_current_level,
    maybe_get_bdim,
    maybe_get_level,
)
from torch._functorch.eager_transforms import enable_inplace_requires_grad
from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter


def batch_sizes() -> dict[int, int]:
    """Return the size of each batch that is running, by layer, the outermost first."""
    layers = get_interpreter_stack() or ()
    return {
        layer.level(): CVmapInterpreterPtr(layer).batchSize()
        for layer in layers
        if layer.key() == TransformType.Vmap
    }


def only_batches_and_gradients() -> bool:
    """Return whether no other transform is running, as those of forward derivatives."""
    known = TransformType.Vmap, TransformType.Grad
    return all(layer.key() in known for layer in get_interpreter_stack() or ())


@contextmanager
def down_to(layer: int) -> Iterator[None]:
    """Leave the layers above `layer` while the block runs."""
    with ExitStack() as stack:
        while (maybe_current_level() or 0) > layer:
            stack.enter_context(retrieve_current_functorch_interpreter().lower())
        yield


def at(tensor: Tensor, layer: int) -> Tensor:
    """Return a tensor as it is at a layer, with the dimensions of batches above it where they are."""
    while is_functorch_wrapped_tensor(tensor) and maybe_get_level(tensor) > layer:
        tensor = get_unwrapped(tensor)
    return tensor


def batches_of(tensor: Tensor) -> set[int]:
    """Return the layers of the batches in which a tensor differs from run to run."""
    found = set()
    while is_functorch_wrapped_tensor(tensor):
        if is_batchedtensor(tensor):
            found.add(maybe_get_level(tensor))
        tensor = get_unwrapped(tensor)
    return found


def differentiable_at(tensor: Tensor) -> set[int]:
    """Return the layers at which autograd follows what is done with a tensor."""
    found = set()
    while is_functorch_wrapped_tensor(tensor):
        if is_gradtrackingtensor(tensor) and tensor.requires_grad:
            found.add(maybe_get_level(tensor))
        tensor = get_unwrapped(tensor)
    if tensor.requires_grad:
        found.add(0)
    return {layer for layer in found if _follows_gradients(layer)}


def unwrapped(tensor: Tensor, layer: int, batches: Sequence[int], dim: int = 0) -> Tensor:
    """Return a tensor as it is at a layer, with the dimensions of `batches` above that layer at `dim`.

    Where it does not differ in one of these, it is expanded.
    """
    sizes = batch_sizes()
    for above in range(maybe_current_level() or 0, layer, -1):
        with down_to(above - 1):
            is_of_layer = is_functorch_wrapped_tensor(tensor) and maybe_get_level(tensor) == above
            if is_of_layer and is_batchedtensor(tensor):
                tensor = get_unwrapped(tensor).movedim(maybe_get_bdim(tensor), dim)
            elif is_of_layer:
                tensor = _unwrap_for_grad(tensor, above)
            elif above in batches:
                shape = tensor.shape
                tensor = tensor.unsqueeze(dim).expand(*shape[:dim], sizes[above], *shape[dim:])
    return tensor


def wrapped(tensor: Tensor, batches: Sequence[int], dim: int = 0) -> Tensor:
    """Return a tensor with its dimensions from `dim` on hidden as those of `batches`, outermost first."""
    for layer in sorted(batches):
        tensor = _add_batch_dim(tensor, dim, layer)
    return tensor


def leaf(tensor: Tensor, layer: int) -> Tensor:
    """Return a tensor as it is below a layer as a new variable of autograd at that layer."""
    with down_to(max(layer - 1, 0)):
        fresh = tensor.detach()
    with down_to(layer), enable_inplace_requires_grad(True):
        return (_wrap_for_grad(fresh, layer) if layer else fresh).requires_grad_()


def _follows_gradients(layer: int) -> bool:
    with down_to(layer):
        return torch.is_grad_enabled()
