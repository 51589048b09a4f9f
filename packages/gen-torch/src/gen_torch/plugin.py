"""The plugin of this package: recording modules, and the door `get_torch_nn_module`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gen_core.hookspecs import gen_edits, gen_runtimes, implements

if TYPE_CHECKING:
    from gen_core.hookspecs import Runtime


# Imported in the functions, so that discovering plugins does not import torch.


@implements(gen_runtimes)
def runtimes() -> list[Runtime]:
    """Record the modules that are called while an outermost run is open."""
    from gen_torch.recording import Recording

    return [Recording]


@implements(gen_edits)
def edits() -> Mapping[tuple[type[Any], str], Callable[..., Any]]:
    """Supply the `nn.Module` of every type of generative function."""
    from gen_core import GenerativeFunction
    from gen_torch.module import torch_nn_module

    return {(GenerativeFunction, "torch_nn_module"): torch_nn_module}
