"""Running in float64: arguments, default dtype, and the parameters that are reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from gen_core.call import Call
from gen_core.parameters import Parameters
from gen_core.testing.structure import mapped


def doubled(call: Call[Any]) -> Call[Any]:
    """Return the call with copies in float64 of its floating point tensors."""
    args, kwargs = mapped((call.args, dict(call.kwargs)), _doubled)
    return Call(call.gen_fn, args, kwargs)


@contextmanager
def in_float64() -> Iterator[list[nn.Parameter]]:
    """Make float64 the default dtype, and every parameter float64 when it is reached.

    Yields:
        The parameters that were reached so far. On leaving, all is as it was, gradients included.
    """
    dtype = torch.get_default_dtype()
    reached: dict[nn.Parameter, tuple[Tensor, Tensor | None]] = {}
    order: list[nn.Parameter] = []
    plain = Parameters.value

    def value(self: Parameters, name: str, init: Any, constraint: Any) -> Tensor:
        if name not in self:
            torch.set_default_dtype(dtype)
            plain(self, name, init, constraint)
            torch.set_default_dtype(torch.float64)
        parameter = self[name]
        if parameter not in reached:
            reached[parameter] = parameter.data, parameter.grad
            order.append(parameter)
            parameter.grad = None
            parameter.data = parameter.data.double()
        return plain(self, name, init, constraint)

    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(Parameters, "value", value):
            yield order
    finally:
        torch.set_default_dtype(dtype)
        for parameter, (data, gradient) in reached.items():
            parameter.grad = None
            parameter.data = data
            parameter.grad = gradient


def _doubled(_: object, leaf: Any) -> Any:
    if isinstance(leaf, Tensor) and leaf.is_floating_point():
        return leaf.detach().double().clone()
    return leaf
