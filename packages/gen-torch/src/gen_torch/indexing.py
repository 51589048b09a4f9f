"""`table[z]` while a program is staged, for z a tensor of one integer: an index that is not read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gen_torch.layers import batches_of

_INTEGERS = frozenset({torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8})


@final
class IndexingByTensors(TorchFunctionMode):
    """Has `tensor[index]` gather where torch would read the index as a Python number, which staging cannot.

    An index that differs between the runs of a batch does without: there torch gathers by itself.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type[Any]],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a torch function."""
        if func is Tensor.__getitem__:
            indices = _gathered(args[1])
            if indices is not None:
                return torch.ops.aten.index.Tensor(args[0], indices)
        return func(*args, **(kwargs or {}))


def _gathered(index: Any) -> list[Tensor | None] | None:
    """Return one index a dimension, if integers are among them that torch would read, and all is plain.

    Whole slices are None. Tensors without dimensions select as numbers do, wherever they stand.
    """
    parts = index if isinstance(index, tuple) else (index,)
    if not any(_is_integer(part) and not batches_of(part) for part in parts):
        return None
    found: list[Tensor | None] = []
    for part in parts:
        if _is_integer(part):
            found.append(part)
        elif isinstance(part, int) and not isinstance(part, bool):
            found.append(torch.tensor(part))
        elif isinstance(part, slice) and part == slice(None):
            found.append(None)
        else:
            return None
    return found


def _is_integer(part: object) -> bool:
    return isinstance(part, Tensor) and not part.dim() and part.dtype in _INTEGERS
