"""`Masked`: a value that may not be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from gen_combinators.where_values import where_value

R_co = TypeVar("R_co", covariant=True)
D = TypeVar("D")


@final
@dataclass(frozen=True)
class Masked(Generic[R_co]):
    """What a Mask returns: a value, and whether it is there."""

    value: R_co | None
    """What the kernel returned; where `flag` is false, None or, in a batch, anything."""
    flag: bool | Tensor
    """A bool, or in a batch and a compiled program a boolean tensor."""

    def or_else(self, default: D) -> R_co | D:
        """Return the value if it is there, else `default`, which in a batch has the kind of the value.

        Raises:
            BranchesDifferError: In a batch, `default` has another structure, shape or dtype.
        """
        if not isinstance(self.flag, Tensor):
            there: R_co | D = self.value if self.flag else default  # type: ignore[assignment]
            return there
        values = {0: default, 1: self.value}
        chosen: R_co | D = where_value(self.flag.to(torch.int64), values, "Masked.or_else")
        return chosen
