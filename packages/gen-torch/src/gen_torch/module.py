"""A generative function as an `nn.Module`: what `get_torch_nn_module` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from gen_torch.layout import Layout
from gen_torch.namespace import Namespace
from gen_torch.record import LOCK, record_of

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import Choices, GenerativeFunction


@final
class ModelModule(Namespace):
    """The modules and parameters of a generative function and of its callees, under readable names.

    It gains what later runs reach. It is made by `gen_fn.get_torch_nn_module()`.
    """

    def __init__(self, gen_fn: GenerativeFunction[..., Any]) -> None:
        super().__init__(gen_fn.params.store)
        self._gen_fn = gen_fn
        self._layout = Layout(gen_fn, self)

    @property
    def gen_fn(self) -> GenerativeFunction[..., Any]:
        """The generative function."""
        return self._gen_fn

    def refresh(self) -> None:
        """Add what was reached since."""
        self._layout.refresh()

    def forward(self, constraints: Choices, /, *args: Any, **kwargs: Any) -> Tensor:
        """Return the weight of `gen_fn.generate(constraints, *args, **kwargs)`, shape `()`, in nats.

        A loss that is computed here is one that DistributedDataParallel can average.
        """
        return self._gen_fn.generate(constraints, *args, **kwargs).weight


def torch_nn_module(gen_fn: GenerativeFunction[..., Any]) -> ModelModule:
    """Return the module of a generative function, the same one every time."""
    record = record_of(gen_fn.params)
    with LOCK:
        if record.module is None:
            record.module = ModelModule(gen_fn)
        record.module.refresh()
        return record.module
