"""Tensors that a body captures, severed from what they were computed from, to differentiate the body in them.

Autograd goes on from a body to what its captured tensors were computed from. So here each is replaced, in
every function of torch that gets it, by a variable of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from torch import Tensor
from torch._C._functorch import (
    _add_batch_dim,
    get_unwrapped,
    is_functorch_wrapped_tensor,
    is_gradtrackingtensor,
    maybe_get_bdim,
    maybe_get_level,
)
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.overrides import TorchFunctionMode

from gen_torch.layers import at, differentiable_at, leaf


@final
class Severed(TorchFunctionMode):
    """Severs what functions of torch get from outside, while one body is staged.

    Attributes:
        captured: The tensors from outside that are differentiable, as they are at the layer.
        variables: What replaces each.
        layers: Where any tensor from outside is differentiable.
    """

    def __init__(self, layer: int | None) -> None:
        """Sever at a layer, or None to look only."""
        super().__init__()
        self.captured: list[Tensor] = []
        self.variables: list[Tensor] = []
        self.layers: set[int] = set()
        self._layer = layer
        self._tracer = _tracer()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type[Any]],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a torch function with variables in place of what is from outside."""
        if _tracer() is not self._tracer:  # a body within this one, with a mode of its own
            return func(*args, **(kwargs or {}))
        return func(*self._in(args), **{name: self._in(value) for name, value in (kwargs or {}).items()})

    def of(self, tensor: Tensor) -> Tensor:
        """Return what replaces a tensor, itself if it is not from outside."""
        layers = differentiable_at(tensor)
        if not layers or self.is_from_within(tensor):
            return tensor
        self.layers |= layers
        if self._layer not in layers or _is_wrapped_for_gradients(tensor, self._layer):
            return tensor
        return self._replaced(tensor, self._layer)

    def _replaced(self, tensor: Tensor, layer: int) -> Tensor:
        if is_functorch_wrapped_tensor(tensor) and maybe_get_level(tensor) > layer:
            inner = self._replaced(get_unwrapped(tensor), layer)
            return _add_batch_dim(inner, maybe_get_bdim(tensor), maybe_get_level(tensor))
        variable = self.variable_of(tensor)
        if variable is not tensor:
            return variable
        self.captured.append(tensor)
        self.variables.append(leaf(at(tensor, layer - 1), layer))
        return self.variables[-1]

    def _in(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.of(value)
        if type(value) in (list, tuple):
            return type(value)(self._in(part) for part in value)
        if type(value) is dict:
            return {key: self._in(part) for key, part in value.items()}
        return value

    def variable_of(self, captured: Tensor) -> Tensor:
        """Return what has replaced a tensor, itself if nothing has."""
        places = zip(self.captured, self.variables, strict=True)
        return next((variable for tensor, variable in places if tensor is captured), captured)

    def is_from_within(self, tensor: Tensor) -> bool:
        """Return whether a tensor was made in the body."""
        return at(tensor, 0) in self._tracer.tensor_tracker


def _is_wrapped_for_gradients(tensor: Tensor, layer: int) -> bool:
    """Return whether a transform within the body makes a variable of its own of a tensor."""
    while is_functorch_wrapped_tensor(tensor) and maybe_get_level(tensor) > layer:
        if is_gradtrackingtensor(tensor):
            return True
        tensor = get_unwrapped(tensor)
    return False


def _tracer() -> Any:
    mode = get_proxy_mode()
    return mode.tracer if mode is not None else None
