"""Calls with explicit parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, final

import torch
from torch import Tensor, nn

from gen_torch.errors import UnknownParameterError

P = ParamSpec("P")
R = TypeVar("R")


def functional_call(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    function: Callable[P, R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Return `function(*args, **kwargs)`, run with other values of a module's parameters and buffers.

    As `torch.func.functional_call`, for a function that reads the parameters in its own way, such as an
    operation of the generative function that the module belongs to:

    >>> module = model.get_torch_nn_module()
    >>> def loss(parameters):
    ...     return -functional_call(module, parameters, model.assess, choices, xs).score
    >>> gradients = torch.func.grad(loss)(dict(module.named_parameters()))

    As there, the parameters are replaced in the module itself until the function returns, so that no other
    thread may use it at the same time. A bare `nn.Parameter` in a variable, which is in no module, cannot
    be replaced.

    Args:
        module: What `get_torch_nn_module` returns, or any other module.
        parameters: New values by name, as in `named_parameters()`; what is missing stays as it is.
        function: What to run.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Raises:
        UnknownParameterError: The module has no parameter or buffer of a given name.
    """
    known = {
        name
        for table in (module.named_parameters, module.named_buffers)
        for name, _ in table(remove_duplicate=False)
    }
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise UnknownParameterError(unknown[0], sorted(known))
    prefixed = {f"module.{name}": value for name, value in parameters.items()}
    result: R = torch.func.functional_call(_Calling(module), prefixed, (function, args, kwargs))
    return result


@final
class _Calling(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)
