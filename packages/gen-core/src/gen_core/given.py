"""Values that are given as a function of the call that makes the choice."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gen_core.call import Call


class GivenBy:
    """What stands for the value of a choice until its arguments are known.

    A choice whose support depends on other choices, such as the y of `uniform(0, x)`, can be given by its
    place on the real line only when it is visited. A subclass is a dataclass, so that batches take its
    tensors apart.
    """

    @abstractmethod
    def value(self, call: Call[Any]) -> object:
        """Return the value of the choice that `call` makes."""
